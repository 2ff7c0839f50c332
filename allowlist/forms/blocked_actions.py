"""What people do about blocked requests: allow places, learn, enforce."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..conf import settings
from ..models import APIKey
from ..models.choices import Enforcement, Status
from ..models.edits import KeyEdit
from ..models.entries import Entry
from ..models.explaining import status_here
from ..models.lists import DOMAINS, IPS, KINDS, ListKind
from ..policy.decision import Mode
from ..policy.entries import display
from .summary import count_entries, is_open

LEARN_LABELS = {
    DOMAINS.field: gettext_lazy("Websites, for requests from web pages"),
    IPS.field: gettext_lazy("IP addresses, for requests from servers"),
}
BOTH = "both"
_LONGEST_ID = 18
"""How many digits a primary key may have, so that every database can compare it."""


def wanted_places(sent: QueryDict) -> list[str]:
    """Return the place whose own button was used, or the places that were selected."""
    return sent.getlist("allow")[-1:] or sent.getlist("place")


def chosen_places(sent: Iterable[str]) -> list[int]:
    """Return the primary keys of the blocked places that a form sent.

    Raises ValidationError for none, and for what isn't a primary key.
    """
    chosen = list(dict.fromkeys(sent))
    if not chosen:
        raise ValidationError(_("Select at least one place."), code="required")
    if not all(each.isascii() and each.isdecimal() and len(each) <= _LONGEST_ID for each in chosen):
        raise ValidationError(_("Select places that this page shows."), code="invalid")
    return [int(each) for each in chosen]


def allowed_message(entries: Iterable[Entry]) -> str:
    """Return the sentence about entries that now allow blocked places."""
    return _("Added to the key's lists: %(entries)s.") % {
        "entries": ", ".join(display(entry.text) for entry in entries)
    }


def start_enforcing(edit: KeyEdit) -> None:
    """Have the key block what isn't listed. The edit raises ValidationError if a list may not be empty."""
    edit.write(enforcement=str(Enforcement.ENFORCE))


def learnable(key: APIKey) -> list[ListKind]:
    """Return the lists whose entries an open key can learn from its requests; none for any other key.

    The key must have been read by ``with_counts``.
    """
    totals = [count_entries(key, kind).total for kind in KINDS]
    is_idle = status_here(key) != Status.ACTIVE or not settings().BLOCKED_PER_KEY
    if is_idle or not is_open(key, *totals):
        return []
    return [kind for kind in KINDS if Mode.LISTED in kind.modes_for(key.kind)]


def start_learning(edit: KeyEdit, kinds: Iterable[ListKind]) -> None:
    """Have the key only monitor, with these lists enabled; they keep their entries."""
    edit.write(enforcement=str(Enforcement.REPORT))
    for kind in kinds:
        edit.list(kind).restrict(None)


class LearnForm(forms.Form):
    """Which lists an open key learns."""

    lists = forms.ChoiceField(
        label=gettext_lazy("What do you want to list?"),
        label_suffix="",
        widget=forms.RadioSelect,
        required=False,
    )

    def __init__(self, key: APIKey, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kinds = learnable(key)
        choices: list[tuple[str, Any]] = [(each.field, LEARN_LABELS[each.field]) for each in self._kinds]
        if len(choices) > 1:
            condition = {"condition": key.get_condition_display()}
            choices.append((BOTH, _("Both. Condition: %(condition)s") % condition))
        field: Any = self.fields["lists"]
        field.choices = choices
        self.initial.setdefault("lists", next((value for value, _label in choices), None))

    def clean(self) -> dict[str, Any]:
        """Turn what was chosen into ``kinds``: the first list if nothing was."""
        chosen = self.cleaned_data.get("lists") or self.initial["lists"]
        return {"kinds": [kind for kind in self._kinds if chosen in (BOTH, kind.field)]}
