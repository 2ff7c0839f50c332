"""The forms of a key and its two lists, and how what people type is written.

The models judge what is typed. A page shows what they refuse on the form. Nothing here belongs to the
admin, so pages of a site's own can use it.
"""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.paginator import Page, Paginator
from django.forms.formsets import ManagementForm
from django.http import QueryDict
from django.utils.functional import cached_property
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..conf import settings
from ..models import APIKey
from ..models.edits import OWN_FIELDS, KeyEdit, Problems
from ..models.entries import Entry
from ..models.list_edits import ListEdit
from ..models.lists import DOMAINS, IPS, KINDS, EntryInput, ListKind
from ..policy.decision import Mode
from ..policy.entries import display
from ..policy.problems import split_pasted
from ..policy.tokens import Kind
from ..validators import shown

if TYPE_CHECKING:
    from django.forms.models import BaseInlineFormSet

    ModelForm = forms.ModelForm[Any]
    InlineFormSet = BaseInlineFormSet[Entry, APIKey, ModelForm]
else:
    ModelForm, InlineFormSet = forms.ModelForm, forms.BaseInlineFormSet

FIXED = ("kind", "environment")
PASTED = {DOMAINS.field: "paste_domains", IPS.field: "paste_ips"}
"""The boxes that whole lists are pasted into, by list."""
CHOICES = {"domain_mode": "DOMAIN_MODES", "ip_mode": "IP_MODES", "condition": "CONDITIONS"}
"""The settings that say what may be chosen, by field."""
MODE_HELP = {
    "domain_mode": gettext_lazy(
        "Entries have no effect while “Allow all domains” is selected. Selecting it deletes them."
    ),
    "ip_mode": gettext_lazy(
        "Entries have no effect while “Allow all IPs” is selected. Selecting it deletes them."
    ),
}
NO_EFFECT = {
    DOMAINS.field: gettext_lazy("The new domains have no effect while “Allow all domains” is selected."),
    IPS.field: gettext_lazy("The new IPs have no effect while “Allow all IPs” is selected."),
}
SECRET_MODE = gettext_lazy(
    "Secret keys have no domain list. Choose “Allow all domains”, and list the servers' IPs instead."
)
ROWS_A_PAGE = 80
"""Two lists with this many rows of six fields stay below Django's DATA_UPLOAD_MAX_NUMBER_FIELDS of 1,000."""
SEEN, SALT = "SEEN", "allowlist.seen"
"""The field of a formset that says what its rows showed, and what it is signed with."""


def controls(kind: str) -> list[str]:
    """Return the fields that leave a creator something to choose, for a key of this ``kind``."""
    hidden = {DOMAINS.mode} if kind == Kind.SECRET else set()
    return [name for name in CHOICES if name not in hidden and len(_allowed(name)) > 1]


def _allowed(name: str) -> tuple[str, ...]:
    allowed: tuple[str, ...] = getattr(settings(), CHOICES[name])
    return allowed


class SeenBoundField(forms.BoundField):
    """A field that stays with the initial value that its user saw, however often its form is refused."""

    def as_hidden(self, attrs: Any = None, **kwargs: Any) -> SafeString:
        """Return the hidden input; of a form that was sent, with the initial value that it was sent with."""
        if not kwargs.get("only_initial") or not self.form.is_bound:
            return super().as_hidden(attrs, **kwargs)
        # Django does so for widgets with one input. A date with its time has two.
        name, widget = self.html_initial_name, self.field.hidden_widget()
        seen = widget.value_from_datadict(self.form.data, self.form.files, name)
        return widget.render(name, seen, {"id": self.html_initial_id, **(attrs or {})}, self.form.renderer)


class KeyForm(ModelForm):
    """A key's own fields.

    It takes for changed what its user changed from what its user saw, not from what was saved in the
    meantime. So a rename sent from a tab opened long ago changes the name alone.
    """

    bound_field_class = SeenBoundField
    is_change: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_change = not self.instance._state.adding
        for field in self.fields.values():
            field.show_hidden_initial = self.is_change
        for name in self.fields.keys() & CHOICES.keys():
            self._offer(name)

    def _offer(self, name: str) -> None:
        """Offer what the settings allow, and what the key has even if they no longer allow it."""
        field: Any = self.fields[name]
        model_field: Any = APIKey._meta.get_field(name)
        allowed = _allowed(name)
        stored = (getattr(self.instance, name),) if self.is_change else ()
        labels = dict(model_field.flatchoices)
        field.choices = [(value, labels[value]) for value in dict.fromkeys((*allowed, *stored))]
        field.initial = allowed[0]
        field.help_text = MODE_HELP.get(name, field.help_text)

    def chosen(self, name: str) -> Any:
        """Return what the user chose for a field, None if they left it alone; a new key has it all chosen."""
        names = self.changed_data if self.is_change else self.cleaned_data
        return self.cleaned_data[name] if name in names else None

    def pasted(self, kind: ListKind) -> list[EntryInput]:
        """Return the entries in the box of the list."""
        return list(split_pasted(self.cleaned_data.get(PASTED[kind.field]) or ""))


class APIKeyForm(KeyForm):
    """A key's own fields, and two boxes to paste whole lists into."""

    refused: ValidationError | None = None
    """What the models refused when this form was saved. The form shows it."""

    paste_domains = forms.CharField(
        label=gettext_lazy("Add several domains"),
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        help_text=gettext_lazy("One per line, or separated by commas."),
        required=False,
        strip=False,
    )
    paste_ips = forms.CharField(
        label=gettext_lazy("Add several IPs"),
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        help_text=gettext_lazy("One per line, or separated by commas."),
        required=False,
        strip=False,
    )

    def clean(self) -> dict[str, Any] | None:
        """Show what the models refused."""
        if self.refused is not None:
            raise ValidationError(list(self.refused.messages))
        typed = self.cleaned_data
        if typed.get("kind") == Kind.SECRET and typed.get(DOMAINS.mode) == Mode.LISTED:
            self.add_error(DOMAINS.mode, ValidationError(SECRET_MODE, code="secret_key"))
        return super().clean()


class EntryForm(ModelForm):
    """One entry's row. Its initial values are what its user saw, whatever was saved in the meantime."""

    def clean(self) -> dict[str, Any] | None:
        """Keep what is stored in the fields that the user left alone."""
        cleaned = super().clean() or self.cleaned_data
        if not self.instance._state.adding:
            untouched = cleaned.keys() & self.base_fields.keys() - set(self.changed_data)
            cleaned |= {name: getattr(self.instance, name) for name in untouched}
        return cleaned

    def validate_constraints(self) -> None:
        """Check nothing: whether an entry is listed twice is judged with the whole list, at the end."""


class EntryFormSet(InlineFormSet):
    """The rows of one list, a page at a time.

    Each row would need hidden fields to say what it showed. One signed field says it for all rows.
    """

    query = QueryDict()
    """The query of the page's address, which says which page of rows to show."""

    @property
    def page_parameter(self) -> str:
        """Return the name of the query's parameter with the number of the page of rows."""
        return f"{self.prefix}-page"

    @cached_property
    def page(self) -> Page[Entry]:
        """Return the page of rows that is asked for, or the nearest."""
        rows = super().get_queryset()
        return Paginator(rows, ROWS_A_PAGE).get_page(self.query.get(self.page_parameter))

    def page_links(self) -> Iterator[tuple[int | str, str]]:
        """Yield the number and the query of each page of rows; a gap has no query."""
        for number in self.page.paginator.get_elided_page_range(self.page.number):
            query = self.query.copy()
            query[self.page_parameter] = str(number)
            yield number, query.urlencode() if isinstance(number, int) else ""

    def get_queryset(self) -> Any:
        """Return the entries of the rows, in their order: of one page, or of the rows that were sent."""
        return self._entries

    @cached_property
    def _entries(self) -> list[Entry]:
        if not self.is_bound:
            return list(self.page.object_list)
        stored = {str(entry.pk): entry for entry in super().get_queryset()}
        sent = range(min(self.initial_form_count(), self.total_form_count()))
        model = cast("type[Entry]", self.model)
        return [stored.get(self._sent_pk(index)) or model() for index in sent]

    def _sent_pk(self, index: int) -> str:
        return str(self.data.get(f"{self.add_prefix(index)}-id"))

    def add_fields(self, form: Any, index: int | None) -> None:
        """Add the id without a lookup of its own, as the row's entry is known already."""
        super().add_fields(form, index)
        pk = form.instance.pk
        initial = None if pk is None else str(pk)
        form.fields["id"] = forms.CharField(required=False, initial=initial, widget=forms.HiddenInput)

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        """Give a row that was sent what it showed."""
        kwargs = super().get_form_kwargs(index)
        if self.is_bound and index is not None and index < self.initial_form_count():
            kwargs["initial"] = self._seen.get(self._sent_pk(index))
        return kwargs

    @cached_property
    def _seen(self) -> dict[str, dict[str, Any]]:
        """Return what the rows that were sent showed, by primary key; nothing if it can't be read."""
        try:
            seen: dict[str, dict[str, Any]] = signing.loads(
                self.data.get(f"{self.prefix}-{SEEN}", ""), salt=SALT
            )
        except signing.BadSignature:
            return {}
        return seen

    @cached_property
    def management_form(self) -> ManagementForm:
        """Return the hidden fields of the whole list."""
        form = super().management_form
        form.fields[SEEN] = forms.CharField(
            required=False, widget=forms.HiddenInput, initial="" if self.is_bound else self._showing()
        )
        return form

    def _showing(self) -> str:
        rows = {
            str(form.instance.pk): {name: form.initial[name] for name in form.base_fields}
            for form in self.initial_forms
        }
        return signing.dumps(rows, salt=SALT, compress=True)

    def clean(self) -> None:
        """Name the rows whose entries are gone."""
        for form in self.initial_forms:
            if form.instance.pk is None and not form.cleaned_data.get("DELETE"):
                kind: ListKind = cast("type[Entry]", self.model).kind
                text = form[kind.column].value() or ""
                sentence = _("“%(entry)s” was removed after you opened this page. Reload the page.")
                raise ValidationError(sentence % {"entry": shown(text)}, code="deleted")


def create(form: APIKeyForm, formsets: list[Any], creator: Any) -> tuple[APIKey, str, list[str]]:
    """Create the key that the forms describe; return it, its token, and what the user should know."""
    names = (*OWN_FIELDS, *FIXED, DOMAINS.mode, IPS.mode)
    fields = {name: form.cleaned_data[name] for name in names if name in form.cleaned_data}
    lists: dict[str, Any] = {kind.field: _typed(kind, form, formsets) for kind in KINDS}
    key, token = APIKey.objects.create_key(creator=creator, **fields, **lists)
    for formset in formsets:
        formset.new_objects = list(formset.model.objects.filter(key=key))
    return key, token, [note for kind in KINDS for note in _skipped(_repeated(kind, lists[kind.field]))]


def change(edit: KeyEdit, form: KeyForm, formsets: list[Any]) -> list[str]:
    """Write what the forms changed; return what the user should know."""
    edit.write(**{name: form.cleaned_data[name] for name in set(form.changed_data) & set(OWN_FIELDS)})
    notes: list[str] = []
    problems = Problems()
    for entries in edit.lists:
        with problems.collected():
            notes += _change_list(entries, form, formsets)
    problems.raise_any()
    return notes


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
    return [*((entry.name, entry.text) for new in rows for entry in new), *form.pasted(kind)]


def _repeated(kind: ListKind, entries: list[EntryInput]) -> list[str]:
    texts = [str(kind.canonical(entry if isinstance(entry, str) else entry[1])) for entry in entries]
    return list((Counter(texts) - Counter(set(texts))).elements())


def _skipped(duplicates: list[str]) -> list[str]:
    listed = ", ".join(display(text) for text in duplicates)
    return [_("Already listed: %(entries)s.") % {"entries": listed}] if duplicates else []
