"""The rows of a key's lists, a page at a time."""

from collections.abc import Iterator
from datetime import datetime
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.paginator import Page, Paginator
from django.db.models import Q
from django.forms.formsets import ManagementForm
from django.http import QueryDict
from django.utils.dateparse import parse_datetime
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import APIKey
from ..models.entries import Entry
from ..models.lists import ListKind
from ..policy.decision import Mode
from ..policy.tokens import Kind
from ..validators import shown

if TYPE_CHECKING:
    from django.forms.models import BaseInlineFormSet

    ModelForm = forms.ModelForm[Any]
    InlineFormSet = BaseInlineFormSet[Entry, APIKey, ModelForm]
else:
    ModelForm, InlineFormSet = forms.ModelForm, forms.BaseInlineFormSet

ROWS_A_PAGE = 80
"""Two lists with this many rows of six fields stay below Django's DATA_UPLOAD_MAX_NUMBER_FIELDS of 1,000."""
SEEN, SALT = "SEEN", "allowlist.seen"
"""The field of a formset that says what its rows showed, and what it is signed with."""

END_HELP = gettext_lazy(
    "When the entry stops matching, such as 2030-12-31 18:00. Leave it empty for an entry that stays."
)
# Stripping would drop control characters, which are refused.
TEXT_FIELD = {"required": False, "max_length": None, "strip": False}
"""The options of an entry's field: the model says what is wrong with an entry, and what was meant."""


def can_hold(kind: ListKind, key: APIKey | None) -> bool:
    """Return whether a list may be given entries, or has some to be seen; without a key, of a new key."""
    of = Kind.PUBLISHABLE if key is None else key.kind
    if not kind.takes(of):
        return False
    return Mode.LISTED in kind.modes_for(of) or (key is not None and _is_used(kind, key))


def _is_used(kind: ListKind, key: APIKey) -> bool:
    return bool(getattr(key, kind.mode) == Mode.LISTED or getattr(key, kind.field).exists())


def _written(shown: Any) -> Any:
    """Return what a field showed as JSON has it. An input shows no microseconds."""
    return shown.replace(microsecond=0).isoformat() if isinstance(shown, datetime) else shown


class EntryForm(ModelForm):
    """One entry's row. Its initial values are what its user saw, whatever was saved in the meantime."""

    def clean(self) -> dict[str, Any] | None:
        """Keep what is stored in the fields that the user left alone."""
        cleaned = super().clean() or self.cleaned_data
        if not self.instance._state.adding:
            untouched = cleaned.keys() & self.base_fields.keys() - set(self.changed_data)
            cleaned |= {name: getattr(self.instance, name) for name in untouched}
        return cleaned

    def get_initial_for_field(self, field: forms.Field, field_name: str) -> Any:
        """Return what the field showed; a date comes as a string from what was signed."""
        shown = super().get_initial_for_field(field, field_name)
        is_written = isinstance(field, forms.DateTimeField) and isinstance(shown, str)
        return parse_datetime(shown) if is_written else shown

    def validate_constraints(self) -> None:
        """Check nothing: whether an entry is listed twice is judged with the whole list, at the end."""


class EntryFormSet(InlineFormSet):
    """The rows of one list, a page at a time.

    Each row would need hidden fields to say what it showed. One signed field says it for all rows.
    """

    rows_a_page = ROWS_A_PAGE

    def __init__(self, *args: Any, query: QueryDict | None = None, **kwargs: Any) -> None:
        """Take also the query of the page's address, which says which page of rows to show."""
        super().__init__(*args, **kwargs)
        self.query = QueryDict() if query is None else query
        limit = self._kind.limit
        if limit is not None and not self.is_bound:
            # So many rows may be shown, as the list's other pages have theirs.
            count = super().get_queryset().count() if self.search else self.page.paginator.count
            room = max(0, limit - count + len(self.page))
            self.max_num = min(self.max_num, room)  # 0 for users who may not add.

    @property
    def _kind(self) -> ListKind:
        return cast("type[Entry]", self.model).kind

    @property
    def page_parameter(self) -> str:
        """Return the name of the query's parameter with the number of the page of rows."""
        return f"{self.prefix}-page"

    @property
    def search_parameter(self) -> str:
        """Return the name of the query's parameter with what the rows are searched for."""
        return f"{self.prefix}-search"

    @property
    def search(self) -> str:
        """Return what the rows are searched for."""
        return self.query.get(self.search_parameter, "").replace("\0", "").strip()

    @cached_property
    def page(self) -> Page[Entry]:
        """Return the page of rows that is asked for, or the nearest."""
        rows = super().get_queryset()
        if self.search:
            canonical = self._kind.canonical(self.search) or self.search
            found = (Q(**{f"{self._kind.column}__icontains": text}) for text in {self.search, canonical})
            rows = rows.filter(Q(name__icontains=self.search) | reduce(or_, found))
        return Paginator(rows, self.rows_a_page).get_page(self.query.get(self.page_parameter))

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
        for name, field in form.fields.items():
            # Tables of inlines have no labels.
            field.widget.attrs.setdefault("aria-label", capfirst(field.label or name))

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
            str(form.instance.pk): {name: _written(form.initial[name]) for name in form.base_fields}
            for form in self.initial_forms
        }
        return signing.dumps(rows, salt=SALT, compress=True)

    def clean(self) -> None:
        """Name the rows whose entries are gone."""
        for form in self.initial_forms:
            if form.instance.pk is None and not form.cleaned_data.get("DELETE"):
                text = form[self._kind.column].value() or ""
                sentence = _("“%(entry)s” was removed after you opened this page. Reload the page.")
                raise ValidationError(sentence % {"entry": shown(text)}, code="deleted")
