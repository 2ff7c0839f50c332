"""Template tags for the creator's pages, and for pages of a project's own."""

from typing import Any

from django import template
from django.utils import timezone

from ..forms.entry_notes import example, warning
from ..forms.summary import with_counts
from ..models import APIKey
from ..models.entries import Entry
from ..models.keysets import may_have_keys
from ..pages.base import address
from ..pages.key_forms import KeyForms
from ..pages.said import state_of, steps_of

register = template.Library()


@register.simple_tag(takes_context=True)
def allowlist_url(context: Any, name: str, pk: Any = None) -> str:
    """Return the address of one of the creator's pages, such as ``{% allowlist_url "key" key.pk %}``."""
    return address(context["request"], name, pk)


@register.inclusion_tag("allowlist/pages/key_settings.html", takes_context=True)
def allowlist_key(context: Any, key: APIKey) -> dict[str, Any]:
    """Show the settings of a key in a page of the project's: ``{% allowlist_key project.key %}``.

    Shows nothing to users whose key it isn't. What is refused is shown on the key's own page.
    """
    request = context["request"]
    own = with_counts(APIKey.objects.manageable_by(request.user)).filter(pk=key.pk).first()
    if own is None or not may_have_keys(request.user):
        return {}
    forms = KeyForms(own, None, request.GET)
    steps = steps_of(request, own, forms.sections)
    return {"request": request, "key": own, "forms": forms, **state_of(own), **steps}


@register.filter
def entry_example(entry: Entry) -> str:
    """Return what an entry matches and what it doesn't; nothing for a blank row."""
    return "" if entry.pk is None else example(entry.kind, entry.text)


@register.filter
def entry_warning(entry: Entry) -> str:
    """Return why an entry may be superfluous; nothing if it isn't."""
    return "" if entry.pk is None else warning(entry, timezone.now())
