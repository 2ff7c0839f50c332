"""Sets of keys: how a key is created, who may have keys, whose they are, and what bulk writes may do."""

import logging
from collections.abc import Callable, Iterable
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from ..conf import settings
from .announcements import announce
from .list_rules import plain_rows
from .lists import EntryInput
from .locks import lock, write_alias, writing
from .tracked import owner_of

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

logger = logging.getLogger("allowlist")

KeyT = TypeVar("KeyT", bound=models.Model)
"""``APIKey``, whose module imports this one."""

KEY_FIELDS = frozenset(
    {"kind", "environment", "domain_mode", "ip_mode", "condition", "enforcement", "expires_at"}
)
"""What ``create_key`` takes besides the name, the creator and the lists."""

WRITTEN_BY = {
    "id": "nothing: it stays as create_key() made it",
    "domain_mode": "restrict_domains() or allow_all_domains()",
    "ip_mode": "restrict_ips() or allow_all_ips()",
    "kind": "create_key(): a key's kind is fixed for good",
    "environment": "create_key(): a key's environment is fixed for good",
    "locator": "create_key()",
    "token": "rotate()",
    "digest": "rotate()",
    "previous_digest": "rotate()",
    "previous_until": "rotate()",
    "revision": "the methods that change a key's lists",
    "created_at": "create_key()",
    "creator_id": "take_over()",
    "revoked_at": "revoke()",
    "last_used_at": "the permission, when it serves a request",
}
"""The fields that ``save`` doesn't write, and what does."""

_BEYOND_UPDATE = {
    **{
        name: method
        for name, method in WRITTEN_BY.items()
        if name not in {"creator_id", "revoked_at", "last_used_at", "created_at"}
    },
    "enforcement": "save(), which also judges the lists",
}
"""The fields that a queryset's ``update`` doesn't write, and what does."""


def by_method(name: str, method: str) -> ValueError:
    """Return the error for a field written by hand that only a method may write."""
    return ValueError(f"Don't write a key's {name} yourself. It is written by {method}.")


def use_create_key() -> TypeError:
    """Return the error for a key that is created without its token."""
    return TypeError("Create keys with APIKey.objects.create_key(), which returns the token.")


def saved_person(user: "AbstractBaseUser", method: str) -> Any:
    """Return the primary key of ``user``; raise ValueError for one that isn't saved, or is anonymous."""
    if user.pk is None or user._state.adding:
        raise ValueError(f"{method}() takes a user that is saved.")
    return user.pk


class KeyQuerySet(models.QuerySet[KeyT]):
    """Keys: how they are created, and whose they are."""

    def create_key(
        self,
        *,
        name: str,
        creator: "AbstractBaseUser | EllipsisType | None" = ...,
        allowed_domains: Iterable[EntryInput] = (),
        allowed_ips: Iterable[EntryInput] = (),
        _locator: Any = None,
        **fields: Any,
    ) -> tuple[KeyT, str]:
        """Create a key and return it with its token, which for a secret key is never shown again.

        Entries are strings, (name, string) pairs or mappings as the API has them. A list given is enabled
        if the settings allow both modes. ``fields``: kind, environment, domain_mode, ip_mode, condition,
        enforcement, expires_at. ``_locator`` is for allowlist's own pages.
        Of ``user.allowlist_keys``, the user is the creator; elsewhere one is given, or None.
        All or nothing. Raises ValidationError, with one error an entry; TypeError for an unknown field;
        ValueError for a creator who isn't saved.
        """
        if unknown := fields.keys() - KEY_FIELDS:
            raise TypeError(f"create_key() doesn't take {', '.join(sorted(unknown))}.")
        creator_id = self._creator_id(creator)
        fields = {"condition": settings().CONDITIONS[0], **fields}
        key = self.model(name=name, creator_id=creator_id, **fields)
        lists = allowed_domains, allowed_ips
        # Not its text: where a commit fails, every variable on the way is printed.
        token = cast("Any", key).insert(write_alias(self), fields, lists, locator=_locator)
        return key, token.text

    def _creator_id(self, given: "AbstractBaseUser | EllipsisType | None") -> Any:
        """Return the primary key of the creator: the one given, or the user whose keys these are."""
        creator = owner_of(self) if isinstance(given, EllipsisType) else given
        if creator is None and given is not None:
            raise TypeError("create_key() takes a creator: a user, or None.")
        return None if creator is None else saved_person(creator, "create_key")

    def active(self) -> Self:
        """Return the keys that work: neither revoked nor expired."""
        unexpired = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
        return self.filter(unexpired, revoked_at=None)

    def manageable_by(self, user: "AbstractBaseUser | AnonymousUser") -> Self:
        """Return the keys that ``user`` may see and change.

        Those they created, or those that the project's ``KEYS_OF`` says are theirs.
        """
        if user.pk is None or not user.is_authenticated:
            return self.none()
        rule = settings().keys_of
        if rule is None:
            return self.filter(creator_id=user.pk)
        theirs = _keys_of(rule, user, plain_rows(self.model, self.db))
        return self.none() if theirs is None else self.filter(pk__in=theirs.order_by().values("pk"))

    def update(self, **kwargs: Any) -> int:
        """Update fields that no rule ties to others; raise ValueError for the rest."""
        for name in kwargs:
            if name in _BEYOND_UPDATE:
                raise by_method(name, _BEYOND_UPDATE[name])
        alias = write_alias(self)
        if not kwargs.keys() - {"last_used_at"}:
            return super().update(**kwargs)
        with transaction.atomic(using=alias):
            announce(self, alias)
            return super().update(**kwargs)

    def bulk_create(self, *args: Any, **kwargs: Any) -> list[KeyT]:
        """Raise TypeError: the keys' tokens would be lost."""
        raise use_create_key()

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete the keys. Each is locked first, so that no entry is added to it in the meantime."""
        alias = write_alias(self)
        keys = list(self.order_by().values_list("pk", flat=True))
        with writing(alias):
            lock(plain_rows(self.model, alias), keys)
            return super(KeyQuerySet, self.filter(pk__in=keys)).delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]


def may_have_keys(user: Any) -> bool:
    """Return whether ``user`` is logged in and ``MAY_HAVE_KEYS`` returns True. If that raises, it's no."""
    if user is None or not user.is_authenticated:
        return False
    try:
        rule = settings().may_have_keys
        may: Any = rule is None or rule(user)
    except Exception:
        logger.exception("MAY_HAVE_KEYS failed, so the user can't manage keys.")
        return False
    if not isinstance(may, bool):  # A coroutine is true.
        logger.error("MAY_HAVE_KEYS returned %r, which isn't True or False; that counts as False.", may)
    return may is True


def _keys_of(
    rule: Callable[[Any], Any], user: Any, keys: "models.QuerySet[Any]"
) -> "models.QuerySet[Any] | None":
    """Return those of ``keys`` that the project's rule gives ``user``; None if it fails or gives no keys."""
    try:
        condition = rule(user)
        if isinstance(condition, Q) and len(condition):
            return keys.filter(condition)
        logger.error("KEYS_OF returned %r, so the user has no keys. Return a Q that isn't empty.", condition)
    except Exception:
        logger.exception("KEYS_OF failed, so the user has no keys.")
    return None
