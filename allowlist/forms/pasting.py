"""What a pasted list is made of: the entries that can be added, and those that can't."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..models.lists import MOST_AT_ONCE, ListKind

ADD_VALID = "_add_valid"
"""The name of the button that adds the valid entries of what was pasted, and leaves out the others."""
MOST_NOTES = 20
"""How many left out entries are explained one by one."""


class Sorted(NamedTuple):
    """The entries of a pasted list."""

    valid: dict[str, str]
    """The canonical string of each entry that may be saved."""
    wrong: dict[str, str]
    """For each other entry, the sentence that says why it may not."""


class Offer(NamedTuple):
    """What a page says about a pasted list that could not be added as it is."""

    sentence: str
    button: str
    """The label of the button that adds the valid entries; empty if they can't be added either."""


def sort_pasted(kind: ListKind, entries: Iterable[str]) -> Sorted:
    """Return which of the entries may be saved, and why the others may not."""
    found = Sorted({}, {})
    for text in entries:
        try:
            found.valid[text] = kind.clean(text)
        except ValidationError as error:
            found.wrong[text] = error.messages[0]
    return found


def offer(kind: ListKind, entries: list[str], listed: Collection[str]) -> Offer | None:
    """Return what to say about a pasted list that was refused; None if it isn't the reason."""
    if len(entries) > MOST_AT_ONCE:
        return None  # The models refuse so many without reading them.
    found = sort_pasted(kind, entries)
    count = len(set(found.valid.values()).difference(listed))
    room = count if kind.limit is None else max(0, kind.limit - len(listed))
    if count > room:
        sentence = ngettext(
            "%(room)s of %(count)s new entry fits, as a key can list at most %(limit)s. Remove some lines.",
            "%(room)s of %(count)s new entries fit, as a key can list at most %(limit)s. Remove some lines.",
            count,
        )
        return Offer(sentence % {"room": room, "count": count, "limit": kind.limit}, "")
    if not found.wrong or not count:
        return None
    sentence = ngettext(
        "%(count)s entry can't be added. The errors above say why.",
        "%(count)s entries can't be added. The errors above say why.",
        len(found.wrong),
    )
    button = ngettext("Add the valid entry", "Add the %(count)s valid entries", count)
    return Offer(sentence % {"count": len(found.wrong)}, button % {"count": count})


def left_out_notes(left_out: Mapping[str, str]) -> list[str]:
    """Return what the user should know about entries that were left out, each with its reason."""
    reasons = list(left_out.values())
    said = [_("Not added: %(reason)s") % {"reason": reason} for reason in reasons[:MOST_NOTES]]
    more = len(reasons) - MOST_NOTES
    if more > 0:
        sentence = ngettext(
            "%(count)s more entry was not added.", "%(count)s more entries were not added.", more
        )
        said.append(sentence % {"count": more})
    return said
