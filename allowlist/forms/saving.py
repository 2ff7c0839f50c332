"""How the forms of a key and its lists are written: as one change, judged by the models as a whole."""

from collections import Counter
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import APIKey
from ..models.edits import OWN_FIELDS, KeyEdit, Problems
from ..models.entries import Entry
from ..models.list_edits import ListEdit
from ..models.lists import DOMAINS, IPS, KINDS, EntryInput, ListKind, read_given
from ..policy.decision import Mode
from ..policy.entries import display
from .key_fields import FIXED, KeyForm
from .pasting import left_out_notes

NO_EFFECT = {
    DOMAINS.field: gettext_lazy("The new domains have no effect while “Allow all domains” is selected."),
    IPS.field: gettext_lazy("The new IPs have no effect while “Allow all IPs” is selected."),
}


class UnconfirmedError(Exception):
    """The forms would empty lists, which their user hasn't confirmed."""

    def __init__(self, lost: list[Entry]) -> None:
        super().__init__(lost)
        self.lost = lost


def emptied(form: KeyForm) -> list[Entry]:
    """Return the entries of the lists that the form disables, and so empties."""
    kinds = [kind for kind in KINDS if form.chosen(kind.mode) == Mode.ALL]
    return [entry for kind in kinds for entry in getattr(form.instance, kind.field).all()]


def create(
    form: KeyForm, formsets: list[Any], creator: Any, locator: str | None = None
) -> tuple[APIKey, str, list[str]]:
    """Create the key that the forms describe; return it, its token, and what the user should know.

    Raises IntegrityError if a key has the locator.
    """
    names = (*OWN_FIELDS, *FIXED, DOMAINS.mode, IPS.mode)
    fields = {name: form.cleaned_data[name] for name in names if name in form.cleaned_data}
    lists: dict[str, Any] = {kind.field: _typed(kind, form, formsets) for kind in KINDS}
    key, token = APIKey.objects.create_key(creator=creator, _locator=locator, **fields, **lists)
    for formset in formsets:
        formset.new_objects = list(formset.model.objects.filter(key=key))
    notes = [note for kind in KINDS for note in _skipped(_repeated(kind, lists[kind.field]))]
    return key, token, notes + _left_out(form)


def change(edit: KeyEdit, form: KeyForm, formsets: list[Any]) -> list[str]:
    """Write what the forms changed; return what the user should know."""
    edit.write(**{name: form.cleaned_data[name] for name in set(form.changed_data) & set(OWN_FIELDS)})
    notes: list[str] = []
    problems = Problems()
    for entries in edit.lists:
        with problems.collected():
            notes += _change_list(entries, form, formsets)
    problems.raise_any()
    return notes + _left_out(form)


def _left_out(form: KeyForm) -> list[str]:
    return [note for kind in KINDS for note in left_out_notes(form.left_out(kind))]


def _change_list(entries: ListEdit, form: KeyForm, formsets: list[Any]) -> list[str]:
    mode = form.chosen(entries.kind.mode)
    entries.set(mode, None)
    rows = [formset for formset in formsets if formset.model.kind is entries.kind]
    for formset in rows if mode != Mode.ALL else ():
        entries.discard([entry.pk for entry in formset.deleted_objects])
        changed = [(entry, set(names) & set(entry.changed())) for entry, names in formset.changed_objects]
        entries.rewrite(changed)
    new = _typed(entries.kind, form, rows)
    return _add(entries, new, rows) if new else []


def _add(entries: ListEdit, new: list[EntryInput], rows: list[Any]) -> list[str]:
    added = entries.add(new)
    for formset in rows:
        formset.new_objects = added.entries  # What the history reports: pasted entries too, no duplicates.
    is_idle = added.entries and not added.in_force
    return _skipped(added.duplicates) + ([str(NO_EFFECT[entries.kind.field])] if is_idle else [])


def _typed(kind: ListKind, form: KeyForm, formsets: list[Any]) -> list[EntryInput]:
    """Return the new entries of a list, from its blank rows and its box."""
    rows = [formset.new_objects for formset in formsets if formset.model.kind is kind]
    return [*(_given(entry) for new in rows for entry in new), *form.pasted(kind)]


def _given(entry: Entry) -> EntryInput:
    given = {"name": entry.name, entry.kind.column: entry.text}
    return given if entry.expires_at is None else {**given, "expires_at": entry.expires_at}


def _repeated(kind: ListKind, entries: list[EntryInput]) -> list[str]:
    texts = [str(kind.canonical(given.text)) for given in read_given(kind, entries)]
    return list((Counter(texts) - Counter(set(texts))).elements())


def _skipped(duplicates: list[str]) -> list[str]:
    listed = ", ".join(display(text) for text in duplicates)
    return [_("Already listed: %(entries)s.") % {"entries": listed}] if duplicates else []
