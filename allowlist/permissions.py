"""The permission: a request passes if and only if its key allows the place it comes from."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rest_framework.permissions import NOT, BasePermission
from rest_framework.request import Request

from .enforcement.checking import Enforcer
from .enforcement.credentials import KeySource
from .enforcement.drf import (
    Refused,
    access_for,
    ask_throttles,
    before_denial,
    guard_response,
)
from .policy.decision import Reason

if TYPE_CHECKING:  # It imports DEFAULT_PERMISSION_CLASSES, which may name this module.
    from rest_framework.views import APIView


class IsAllowlisted(Enforcer, BasePermission):
    """Grants if and only if the request's key is valid and allows the page or server it comes from.

    Otherwise it raises its own response, so that status, message and code survive whatever else the
    project has. Use ``IsAllowlistedQuietly`` with ``|`` and ``~``. A subclass changes the response by the
    attributes and ``get_`` methods of ``RefusalResponses``, and where the key comes from by ``get_key``.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Return True, or raise Refused with status and body."""
        guard_response(view, request)
        access = access_for(self, request, view)
        access.report(type(self))
        if access.served:
            return True
        ask_throttles(view, request, access)
        raise Refused(self.refusal(access), access.decision.reason or Reason.UNDECIDED)


class IsAllowlistedQuietly(KeySource, BasePermission):
    """Grants as ``IsAllowlisted`` does, but returns False, so that it can be combined with ``|`` and ``~``.

    A refusal is reported and counted by the view's throttles if the request is refused in the end.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Return whether the request's key allows the place it comes from."""
        guard_response(view, request)
        before_denial(view, request)
        access = access_for(self, request, view)
        if access.only_reports:
            access.report(type(self))
        return access.served

    def has_object_permission(self, request: Request, view: "APIView", obj: Any) -> bool:
        """Return the same for every object, so that ``~`` refuses and grants alike with them."""
        return access_for(self, request, view).served


def enforcing(classes: Any) -> Iterator[type[IsAllowlisted | IsAllowlistedQuietly]]:
    """Yield our classes among a view's permission classes, also those composed by ``&`` and ``|``."""
    if not isinstance(classes, Iterable):
        return  # A property of the view's class.
    for each in classes:
        if isinstance(each, type):
            if issubclass(each, (IsAllowlisted, IsAllowlistedQuietly)):
                yield each
        elif getattr(each, "operator_class", None) is not NOT:
            operands = (getattr(each, name, None) for name in ("op1_class", "op2_class"))
            yield from enforcing([operand for operand in operands if operand is not None])


def guard_of(view: Any) -> IsAllowlisted | IsAllowlistedQuietly | None:
    """Return the first of our permissions in the view's ``permission_classes``."""
    found = next(enforcing(getattr(view, "permission_classes", ())), None)
    return None if found is None else found()
