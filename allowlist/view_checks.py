"""A system check for what a decorator can't see: the class that ``method_decorator`` guards."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, register
from django.urls import get_resolver
from django.views import View

from .enforcement.plain import count_guards

_DRF = "is a DRF view, and a decorator guards it.", "Set permission_classes = [IsAllowlisted] instead."
_TWICE = "is guarded twice.", "Remove one of the decorators, which may be on a base class."


@register(checks.Tags.urls)
def check_guarded_views(**kwargs: Any) -> list[CheckMessage]:
    """Return an error for each class-based view that is guarded in the wrong place."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    views = {
        kind: view for view in _views(get_resolver().url_patterns) if (kind := _class_of(view)) is not None
    }
    return [
        checks.Error(f"{kind.__module__}.{kind.__qualname__} {problem}", hint=hint, id="allowlist.E004")
        for kind, view in views.items()
        for problem, hint in _problems(kind, view)
    ]


def _views(patterns: Iterable[Any]) -> Iterator[Any]:
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            yield from _views(pattern.url_patterns)
        else:
            yield pattern.callback


def _class_of(view: Any) -> type[View] | None:
    kind = getattr(view, "cls", None) or getattr(view, "view_class", None)
    return kind if isinstance(kind, type) and issubclass(kind, View) else None


def _problems(kind: type[View], view: Any) -> Iterator[tuple[str, str]]:
    from rest_framework.views import APIView  # It imports what the project's settings name.

    handlers = [name for name in kind.http_method_names if count_guards(getattr(kind, name, None))]
    if issubclass(kind, APIView):
        if handlers or count_guards(view):
            yield _DRF
        return
    for name in handlers:
        yield (
            f"has a guard on {name}() alone: other methods are open, and the CSRF check stays.",
            f'Write @method_decorator(allowlisted, name="dispatch") above class {kind.__name__} instead.',
        )
    if count_guards(view) > 1:
        yield _TWICE
