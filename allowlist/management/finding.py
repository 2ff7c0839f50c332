"""Finds the key and the user that are named on the command line."""

import re
from secrets import compare_digest
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management import CommandError
from django.db import router
from django.db.models import Prefetch, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from ..models import AllowedDomain, AllowedIP, APIKey
from ..policy.tokens import LOCATOR_LENGTH, Token
from .reading import STDIN, first_line
from .tables import safe

_LOCATOR = re.compile(rf"(?:(?:pk|sk)_(?:live|test)_)?([a-z0-9]{{{LOCATOR_LENGTH}}})…?", re.ASCII)
_ID = re.compile(r"[0-9]{1,18}")


def database(given: str | None) -> str:
    """Return the database of the keys: the one given, or the one that the project's routers name.

    Raises CommandError if a write to a key of that database would go to another one.
    """
    alias = given or router.db_for_write(APIKey)
    key = APIKey()
    key._state.db = alias
    target = router.db_for_write(APIKey, instance=key)
    if target != alias:
        sentence = _("Your database routers write keys to “%(target)s”, not to “%(given)s”.")
        raise CommandError(sentence % {"target": target, "given": alias})
    return alias


def keys_of(alias: str) -> "QuerySet[APIKey]":
    """Return the keys of a database, with their lists."""
    lists = (model.objects.using(alias) for model in (AllowedDomain, AllowedIP))
    prefetched = [Prefetch(entries.model.kind.field, queryset=entries) for entries in lists]
    return APIKey.objects.using(alias).prefetch_related(*prefetched)


def find_key(alias: str, name: str) -> APIKey:
    """Return the key with this id, locator or whole token; ``-`` reads the token from standard input.

    Raises CommandError if there isn't one. The sentence doesn't repeat a token.
    """
    name = first_line() if name == STDIN else name
    keys, key = keys_of(alias), None
    if (token := Token.parse(name)) is not None:
        key = keys.filter(locator=token.locator).first()
        if key is None or not _is_token_of(key, token):
            raise CommandError(_("No key has this token. It may have been rotated."))
        return key
    if match := _LOCATOR.fullmatch(name):
        key = keys.filter(locator=match[1]).first()
    if key is None and _ID.fullmatch(name):
        key = keys.filter(pk=name).first()
    if key is None:
        # Whatever it is may contain a secret, such as a token with a typo.
        shown = safe(name) if len(name) <= LOCATOR_LENGTH else safe(name[:LOCATOR_LENGTH]) + "…"
        sentence = _("There is no key “%(name)s”. Name it by its id, its locator or its whole token.")
        raise CommandError(sentence % {"name": shown})
    return key


def _is_token_of(key: APIKey, token: Token) -> bool:
    digests = [key.digest]
    if key.previous_until is not None and key.previous_until > timezone.now():
        digests.append(key.previous_digest)
    return any(compare_digest(digest, token.digest) for digest in digests)


def find_user(alias: str | None, name: str) -> Any:
    """Return the user with this login; raise CommandError if there isn't one."""
    model = get_user_model()
    try:
        user = _users(alias).filter(**{model.USERNAME_FIELD: name}).first()
    except (TypeError, ValueError, ValidationError):
        user = None
    if user is None:
        sentence = _("There is no user whose %(field)s is “%(name)s”.")
        raise CommandError(sentence % {"field": model.USERNAME_FIELD, "name": safe(name)})
    return user


def login_of(alias: str | None, pk: Any) -> str:
    """Return the login of the user with this primary key, or the primary key if there is none."""
    user = _users(alias).filter(pk=pk).first()
    return str(pk) if user is None else user.get_username()


def _users(alias: str | None) -> "QuerySet[Any]":
    """Return the users of a database, by default of the one that takes their writes."""
    model = get_user_model()
    return model._default_manager.using(alias or router.db_for_write(model))
