"""The one settings dict, ``ALLOWLIST``: its names, types and defaults.

``settings()`` reads it when it is first needed, and again after a change by ``override_settings``.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from ipaddress import ip_network
from typing import Any, Literal, cast

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db.models import Q
from django.utils.module_loading import import_string

from .policy.decision import Condition, Mode
from .policy.entries import DomainForm
from .policy.networks import IPForm, Network, unmapped_network
from .policy.tokens import Environment
from .push import check_freshness

Check = Callable[[Any], str | None]
"""Returns the end of a sentence that says what is wrong with a value, or None."""

UNIX = "unix"
EMBED_HEADER = "X-Embed-Token"
"""The header in which a frame's scripts send their embed token."""
MOST_DAYS = 3650
"""Longest time that blocked requests are shown."""
_DOTTED_PATH = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+")


def _is_whole(value: Any, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _limit(value: Any) -> str | None:
    is_right = value is None or _is_whole(value)
    return None if is_right else "must be a whole number above 0, or None for no limit."


def _count(value: Any) -> str | None:
    return None if _is_whole(value, 0) else "must be a whole number, or 0 to record nothing."


def _days(value: Any) -> str | None:
    is_right = _is_whole(value) and value <= MOST_DAYS
    return None if is_right else f"must be a whole number of days from 1 to {MOST_DAYS}."


def _seconds(value: Any) -> str | None:
    return None if _is_whole(value) else "must be a whole number of seconds above 0."


def _choices(allowed: type[Mode | Condition | DomainForm | IPForm | Environment]) -> Check:
    names = tuple(str(choice) for choice in allowed)

    def check(value: Any) -> str | None:
        if not isinstance(value, (tuple, list)) or not value:
            return f"must be a tuple with at least one of {_quoted(names)}."
        for item in value:
            if item not in names:
                return f"contains {item!r}. Valid values are {_quoted(names)}.{did_you_mean(item, names)}"
        return "contains a value twice." if len(set(value)) < len(value) else None

    return check


def _one_of(*names: str) -> Check:
    def check(value: Any) -> str | None:
        if value in names:
            return None
        return f"is {value!r}. Valid values are {_quoted(names)}.{did_you_mean(value, names)}"

    return check


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be True or False."


def _proxies(value: Any) -> str | None:
    if not isinstance(value, (tuple, list)):
        return 'must be a tuple of networks, such as ("10.0.0.0/8", "unix").'
    for item in value:
        if item == UNIX:
            continue
        try:
            ip_network(str(item))  # ip_network() would take a number for an address.
        except ValueError as error:
            return f'contains {item!r}, which isn\'t a network, an IP address or "unix" ({error}).'
    return None


def _header(example: str) -> Check:
    def check(value: Any) -> str | None:
        if isinstance(value, str) and value.isascii() and value.replace("-", "").isalnum():
            return None
        return f"must be the name of a header as clients send it, such as {example}."

    return check


def _parameter(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return None
    return "must be the name of a query parameter, or None to read none."


def _dotted_path(value: Any) -> str | None:
    """Check the spelling only. The module may import ours, so we import it when it is needed."""
    if value is None or (isinstance(value, str) and _DOTTED_PATH.fullmatch(value)):
        return None
    return "must be None or the dotted path of a callable, such as 'shop.keys.keys_of'."


def _imported(name: str, path: str | None) -> Callable[[Any], Any] | None:
    """Return the callable at ``path``; raise ImproperlyConfigured if there isn't one."""
    if path is None:
        return None
    try:
        found = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(f"ALLOWLIST[{name!r}] can't be imported: {error}") from error
    if not callable(found):
        raise ImproperlyConfigured(f"ALLOWLIST[{name!r}] names {path!r}, which isn't callable.")
    return cast("Callable[[Any], Any]", found)


def _setting(default: Any, check: Check, **options: Any) -> Any:
    return field(default=default, metadata={"check": check}, **options)


@dataclass(frozen=True, slots=True)
class Settings:
    """``ALLOWLIST`` with its defaults. docs/reference/settings.md describes each setting."""

    MAX_DOMAINS: int | None = _setting(25, _limit)
    MAX_IPS: int | None = _setting(25, _limit)
    DOMAIN_MODES: tuple[str, ...] = _setting(("all", "listed"), _choices(Mode))
    IP_MODES: tuple[str, ...] = _setting(("all", "listed"), _choices(Mode))
    CONDITIONS: tuple[str, ...] = _setting(("all", "any", "by_source"), _choices(Condition))
    DOMAIN_FORMS: tuple[str, ...] = _setting(("origin", "host", "wildcard"), _choices(DomainForm))
    IP_FORMS: tuple[str, ...] = _setting(("address", "network"), _choices(IPForm))
    PUBLIC_IPS_ONLY: bool = _setting(False, _boolean)
    EMPTY_LIST: Literal["refuse", "deny", "allow"] = _setting("refuse", _one_of("refuse", "deny", "allow"))
    MISSING_ORIGIN: Literal["deny", "allow"] = _setting("deny", _one_of("deny", "allow"))
    TRUSTED_PROXIES: tuple[str, ...] = _setting((), _proxies)
    CLIENT_IP_HEADER: str = _setting("X-Forwarded-For", _header("X-Forwarded-For"))
    KEY_HEADER: str = _setting("X-API-Key", _header("X-API-Key"))
    KEY_QUERY_PARAM: str | None = _setting("key", _parameter)
    FRESHNESS: str | None = _setting(None, check_freshness, repr=False)  # It may hold a password.

    ENVIRONMENTS: tuple[str, ...] = _setting(("live", "test"), _choices(Environment))
    MAY_HAVE_KEYS: str | None = _setting(None, _dotted_path)
    KEYS_OF: str | None = _setting(None, _dotted_path)

    BLOCKED_PER_KEY: int = _setting(100, _count)
    BLOCKED_DAYS: int = _setting(30, _days)
    BLOCKED_IPS: Literal["full", "network", "none"] = _setting("full", _one_of("full", "network", "none"))
    EMBED_MAX_AGE: int = _setting(3600, _seconds)

    trusts_unix: bool = field(init=False)
    trusted_networks: tuple[Network, ...] = field(init=False)
    key_meta: str = field(init=False)
    client_ip_meta: str = field(init=False)

    def __post_init__(self) -> None:
        """Compute once what every request needs."""
        proxies = [proxy for proxy in self.TRUSTED_PROXIES if proxy != UNIX]
        for name, value in (
            ("trusts_unix", UNIX in self.TRUSTED_PROXIES),
            ("trusted_networks", tuple(unmapped_network(ip_network(proxy)) for proxy in proxies)),
            ("key_meta", _meta_name(self.KEY_HEADER)),
            ("client_ip_meta", _meta_name(self.CLIENT_IP_HEADER)),
        ):
            object.__setattr__(self, name, value)

    @property
    def may_have_keys(self) -> Callable[[Any], bool] | None:
        """Return the callable that decides whether a user may have keys. None: every user may.

        Raises ImproperlyConfigured if it can't be imported or called.
        """
        return _imported("MAY_HAVE_KEYS", self.MAY_HAVE_KEYS)

    @property
    def keys_of(self) -> Callable[[Any], Q | None] | None:
        """Return the callable that decides which keys are a user's. None: the keys that they created.

        Raises ImproperlyConfigured if it can't be imported or called.
        """
        return _imported("KEYS_OF", self.KEYS_OF)


def _meta_name(header: str) -> str:
    """Return a header's name in ``request.META``."""
    return "HTTP_" + header.upper().replace("-", "_")


_CHECKS: dict[str, Check] = {each.name: each.metadata["check"] for each in fields(Settings) if each.init}


@cache
def settings() -> Settings:
    """Return the settings in force; raise ImproperlyConfigured if one is wrong."""
    given = getattr(django_settings, "ALLOWLIST", {})
    for error in errors(given):
        raise ImproperlyConfigured(error)
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in given.items()
    }
    return Settings(**values)


def errors(given: Any) -> Iterator[str]:
    """Yield a sentence for each thing that is wrong with a value of ``ALLOWLIST``."""
    if not isinstance(given, Mapping):
        yield "ALLOWLIST must be a dict, such as ALLOWLIST = {'MAX_DOMAINS': 25}."
        return
    sound = dict(given)
    for name, value in given.items():
        check = _CHECKS.get(name)
        if check is None:
            yield f"ALLOWLIST has no setting {name!r}.{did_you_mean(name, tuple(_CHECKS))}"
        elif problem := check(value):
            yield f"ALLOWLIST[{name!r}] {problem}"
            del sound[name]
    yield from _impossible_recipes(sound)


def import_errors(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each callable that ``ALLOWLIST`` names and that can't be used."""
    for name in ("MAY_HAVE_KEYS", "KEYS_OF"):
        try:
            _imported(name, given.get(name))
        except ImproperlyConfigured as error:
            yield str(error)


def _impossible_recipes(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each list that would keep a new key from being created without entries."""
    if given.get("EMPTY_LIST", "refuse") != "refuse":
        return
    for name, things in (("DOMAIN_MODES", "domains"), ("IP_MODES", "IP addresses")):
        if given.get(name, ("all",))[0] == Mode.LISTED:
            yield (
                f"ALLOWLIST[{name!r}] starts every new key as 'listed' while EMPTY_LIST is 'refuse', so "
                f"nobody could create a key without {things}. Put 'all' first, or set EMPTY_LIST to 'deny' "
                f"(an empty list matches nothing) or 'allow' (an empty list matches everything)."
            )


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names)


def did_you_mean(name: Any, names: tuple[str, ...]) -> str:
    """Return a question with the name that is nearest to ``name``; an empty string if no name is near."""
    matches = difflib.get_close_matches(str(name), names, n=1, cutoff=0.4)
    by_case = [each for each in names if each.lower() == str(name).lower()]
    return f" Did you mean {(by_case or matches)[0]!r}?" if by_case or matches else ""


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "ALLOWLIST":
        settings.cache_clear()


setting_changed.connect(_forget, dispatch_uid="allowlist.conf")
