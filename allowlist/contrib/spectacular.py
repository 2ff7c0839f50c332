"""The adapter for drf-spectacular: the key's security scheme on every view that ``IsAllowlisted`` guards.

drf-spectacular reads a view's authenticators. A view that only has the permission has none that takes a key,
so each view's are replaced, in the schema alone, by what its permissions require together.
"""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiViewExtension
from rest_framework import permissions
from rest_framework.permissions import AND, OR

from ..authentication import APIKeyAuthentication
from ..conf import settings
from ..enforcement.credentials import KeySource
from ..permissions import IsAllowlisted, IsAllowlistedQuietly

KEY, LOGIN = "key", "login"
SCHEME = "AllowlistKey"
"""The name of the key's security scheme."""

Way = frozenset[str]
"""What a request needs at once: a key, a login, both, or neither."""

_LOGGED_IN = (permissions.IsAuthenticated, permissions.IsAdminUser, permissions.DjangoModelPermissions)


class KeyScheme(OpenApiAuthenticationExtension):
    """The key, in its header."""

    target_class = APIKeyAuthentication
    match_subclasses = True
    name = SCHEME

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Return the scheme as OpenAPI has it."""
        return {"type": "apiKey", "in": "header", "name": settings().KEY_HEADER}


class Guard:
    """Stands for the authenticators of a guarded view, in the schema alone."""

    def __init__(self, ways: list[Way], authenticators: Iterable[Any]) -> None:
        self.ways = ways
        of_key: Any = KeyScheme
        self.schemes: list[Any] = [of_key(APIKeyAuthentication())]
        for each in authenticators:
            scheme = OpenApiAuthenticationExtension.get_match(each)
            if scheme is not None and not isinstance(scheme, KeyScheme):
                self.schemes.append(scheme)


class GuardScheme(OpenApiAuthenticationExtension):
    """What a guarded view requires: the key, with a login if another permission asks for one."""

    target_class = Guard

    @property
    def name(self) -> list[str]:  # type: ignore[override]
        """Return the names of all schemes."""
        return [name for scheme in self.target.schemes for name in _listed(scheme.name)]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        """Return the schemes as OpenAPI has them, in the order of their names."""
        return [
            definition
            for scheme in self.target.schemes
            for definition in _listed(scheme.get_security_definition(auto_schema))
        ]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, Any]]:
        """Return one dict for each way to be let in; what is in one is required together."""
        key, *others = (_listed(each.get_security_requirement(auto_schema)) for each in self.target.schemes)
        logins = [requirement for each in others for requirement in each]
        found: list[dict[str, Any]] = []
        for way in self.target.ways:
            base = key[0] if KEY in way else {}
            each_login = logins if LOGIN in way and logins else [{}]
            found += [{**base, **login} for login in each_login]
        return found


class GuardedView(OpenApiViewExtension):
    """Every view whose permissions ask for a key. Other extensions for a view go before."""

    target_class = "rest_framework.views.APIView"
    match_subclasses = True
    priority = -1

    def view_replacement(self) -> Any:
        """Return the view's class, with the authenticators that its permissions require."""

        def get_authenticators(view: Any) -> list[Any]:
            found = list(self.target.get_authenticators(view))
            ways = ways_into(view.get_permissions())
            is_guarded = any(KEY in way for way in ways)
            return [Guard(ways, found)] if is_guarded else found

        names = {
            "get_authenticators": get_authenticators,
            "__doc__": self.target.__doc__,
            "__module__": self.target.__module__,
        }
        return type(self.target.__name__, (self.target,), names)


def ways_into(found: Iterable[Any]) -> list[Way]:
    """Return the ways to pass all of a view's permissions."""
    ways: list[Way] = [frozenset()]
    for permission in found:
        ways = _together(ways, _ways_past(permission))
    return ways


def _ways_past(permission: Any) -> list[Way]:
    if isinstance(permission, (AND, OR)):
        one, other = (_ways_past(getattr(permission, name)) for name in ("op1", "op2"))
        return _together(one, other) if isinstance(permission, AND) else list(dict.fromkeys([*one, *other]))
    if isinstance(permission, _LOGGED_IN):
        return [frozenset({LOGIN})]
    if isinstance(permission, (IsAllowlisted, IsAllowlistedQuietly)):
        # A project's own credential isn't sent in our header.
        is_ours = type(permission).get_key is KeySource.get_key
        return [frozenset({KEY} if is_ours else ())]
    return [frozenset()]


def _together(ones: list[Way], others: list[Way]) -> list[Way]:
    return list(dict.fromkeys(one | other for one in ones for other in others))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
