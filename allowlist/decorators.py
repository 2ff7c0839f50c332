"""The guards of plain Django views: function views, and class-based views by ``method_decorator``."""

from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any, TypeVar, overload

from rest_framework.permissions import BasePermission
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from .conf import did_you_mean
from .enforcement.frame_guard import FrameGuard
from .enforcement.key_guard import KeyGuard
from .enforcement.plain import Guard, guarded
from .enforcement.throttles import Throttles
from .permissions import IsAllowlisted

ViewT = TypeVar("ViewT", bound=Callable[..., Any])
_FOR_DRF = {
    "allowlisted": "Set its permission_classes = [IsAllowlisted] instead.",
    "embeddable": "Serve the frame's document with a plain Django view.",
}
_OPTIONS = ("permission", "key_kwarg", "throttle_classes", "throttle_scope")


@overload
def allowlisted(view: ViewT, /) -> ViewT: ...


@overload
def allowlisted(
    *,
    permission: type[IsAllowlisted] = ...,
    key_kwarg: str | None = ...,
    throttle_classes: Iterable[type[BaseThrottle]] = ...,
    throttle_scope: str | None = ...,
) -> Callable[[ViewT], ViewT]: ...


def allowlisted(*views: Any, **options: Any) -> Any:
    """Guard a plain Django view, sync or async, as ``IsAllowlisted`` guards a DRF view.

    Use it with or without arguments, and on a class as ``method_decorator(allowlisted, name="dispatch")``.
    ``permission`` is a subclass of ``IsAllowlisted``; ``key_kwarg`` names the URL kwarg that may hold the
    token; ``throttle_classes`` are DRF's, and a ``ScopedRateThrottle`` reads ``throttle_scope``. Raises
    TypeError for wrong use.
    """
    return _decorate("allowlisted", views, _guard(**options) if options else _DEFAULT)


@overload
def embeddable(view: ViewT, /) -> ViewT: ...


@overload
def embeddable(*, key_kwarg: str | None = ...) -> Callable[[ViewT], ViewT]: ...


def embeddable(*views: Any, **options: Any) -> Any:
    """Guard the plain Django view that serves a frame's document: the page that embeds it has to be allowed.

    The key is in the URL's query, or in its kwarg ``key_kwarg``. The view finds the token for the frame's
    scripts as ``request.allowlist.embed_token``. Raises TypeError for wrong use.
    """
    for name in options.keys() - {"key_kwarg"}:
        raise TypeError(f"embeddable() has no argument {name!r}.{did_you_mean(name, ('key_kwarg',))}")
    expect_key_kwarg(**options)
    return _decorate("embeddable", views, FrameGuard(**options))


def _decorate(decorator: str, views: tuple[Any, ...], guard: Guard) -> Any:
    """Return the first of ``views``, guarded; without views, a decorator."""
    if len(views) > 1:
        raise TypeError(f"{decorator}() takes one view, and its options by name.")

    def guard_view(view: ViewT) -> ViewT:
        expect_plain_view(view, decorator)
        guarded_view: ViewT = guarded(view, guard)
        return guarded_view

    return guard_view(views[0]) if views else guard_view


def _guard(
    permission: Any = IsAllowlisted,
    key_kwarg: str | None = None,
    throttle_classes: Any = (),
    throttle_scope: str | None = None,
    **unknown: Any,
) -> Guard:
    for name in unknown:
        raise TypeError(f"allowlisted() has no argument {name!r}.{did_you_mean(name, _OPTIONS)}")
    expect_permission(permission)
    expect_key_kwarg(key_kwarg)
    classes = tuple(throttle_classes) if isinstance(throttle_classes, Iterable) else (throttle_classes,)
    if not all(isinstance(each, type) and hasattr(each, "allow_request") for each in classes):
        raise TypeError("throttle_classes must be a list of DRF throttle classes.")
    if throttle_scope is not None and not classes:
        raise TypeError("throttle_scope has no effect without throttle_classes = [ScopedRateThrottle].")
    throttles = Throttles(classes, throttle_scope, (permission,), key_kwarg) if classes else None
    return KeyGuard(permission, key_kwarg, throttles)


_DEFAULT = KeyGuard(IsAllowlisted)


def expect_key_kwarg(key_kwarg: Any = None) -> None:
    """Raise TypeError unless ``key_kwarg`` can name a URL kwarg, or is None."""
    if key_kwarg is not None and not str(key_kwarg).isidentifier():
        raise TypeError(
            f"key_kwarg is {key_kwarg!r}. It must be the name of a URL kwarg, such as 'public_id'."
        )


def expect_permission(permission: Any) -> None:
    """Raise TypeError unless ``permission`` can decide outside DRF."""
    if not (isinstance(permission, type) and issubclass(permission, IsAllowlisted)):
        raise TypeError(f"permission is {permission!r}. It must be IsAllowlisted or a subclass of it.")
    if permission.has_permission is not IsAllowlisted.has_permission:
        raise TypeError(
            f"{permission.__qualname__}.has_permission() is called only in DRF views. Move what it checks to "
            "get_key() or into the view."
        )


def expect_plain_view(view: Any, decorator: str) -> None:
    """Raise TypeError unless ``view`` is what ``decorator`` can guard, with what to write instead."""
    name = getattr(view, "__qualname__", None) or repr(view)
    kind = view if isinstance(view, type) else getattr(view, "cls", None)
    if isinstance(view, type) and issubclass(view, BasePermission) and decorator == "allowlisted":
        raise TypeError(f"Write @{decorator}(permission={view.__name__}).")
    if isinstance(kind, type) and issubclass(kind, APIView):
        raise TypeError(f"{name} is a DRF view. {_FOR_DRF[decorator]}")
    if isinstance(view, type) or _is_method(view):
        how = f'@method_decorator({decorator}, name="dispatch") above the class'
        raise TypeError(f"{name} isn't a function view. Write {how}.")
    if not callable(view):
        raise TypeError(f"{decorator}() got {view!r}, which isn't a view.")


def _is_method(view: Any) -> bool:
    """Return whether ``view`` is a method in its class's body. ``method_decorator`` hands on no function."""
    return isinstance(view, FunctionType) and view.__code__.co_varnames[:1] == ("self",)
