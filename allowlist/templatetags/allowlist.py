"""Template tags for the creator's pages, and for pages of a project's own."""

from typing import Any

from django import template
from django.utils import timezone

from ..forms.entry_notes import example, warning
from ..models.entries import Entry
from ..pages.base import address

register = template.Library()


@register.simple_tag(takes_context=True)
def allowlist_url(context: Any, name: str, pk: Any = None) -> str:
    """Return the address of one of the creator's pages, such as ``{% allowlist_url "key" key.pk %}``."""
    return address(context["request"], name, pk)


@register.filter
def entry_example(entry: Entry) -> str:
    """Return what an entry matches and what it doesn't; nothing for a blank row."""
    return "" if entry.pk is None else example(entry.kind, entry.text)


@register.filter
def entry_warning(entry: Entry) -> str:
    """Return why an entry may be superfluous; nothing if it isn't."""
    return "" if entry.pk is None else warning(entry, timezone.now())
