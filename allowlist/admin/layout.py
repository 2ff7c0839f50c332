"""The parts of a key's page in their order. Everything about one list stands together."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..forms.key_fields import HEADINGS, PASTED
from ..models.lists import KINDS, ListKind
from .inlines import EntryInline


@dataclass
class Section:
    """All about one list: its mode, its entries, its steps and the box to paste into."""

    kind: ListKind
    heading: Any
    count: str = ""
    mode: Any = None
    inline: Any = None
    paste: Any = None
    offer: Any = None
    steps: list[Any] = field(default_factory=list)


def sections(fieldsets: Iterable[Any], inlines: Iterable[Any]) -> list[Section]:
    """Return the sections of the lists that the page shows."""
    by_fields = {tuple(each.fields): each for each in fieldsets}
    entries = {each.opts.model.kind: each for each in inlines if isinstance(each.opts, EntryInline)}
    found = [
        Section(
            kind,
            HEADINGS[kind.field],
            mode=by_fields.get((kind.mode,)),
            inline=entries.get(kind),
            paste=by_fields.get((PASTED[kind.field],)),
        )
        for kind in KINDS
    ]
    return [each for each in found if each.mode or each.inline or each.paste]


def list_fieldsets(chosen: Iterable[str], pasted: Iterable[str]) -> list[Any]:
    """Return the fieldsets of the lists, for the modes that can be chosen and the boxes to paste into."""
    names = [name for kind in KINDS for name in (kind.mode, PASTED[kind.field])]
    return [(None, {"fields": [name]}) for name in names if name in {*chosen, *pasted}]
