"""The forms of a key's page: its own fields, and all about each list together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.models import inlineformset_factory, modelform_factory
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _

from ..conf import settings
from ..forms.entry_help import empty_help, entry_help, example_of
from ..forms.key_fields import FIXED, HEADINGS, PASTED, APIKeyForm, controls, show_left_out
from ..forms.pasting import Offer, offer
from ..forms.rows import TEXT_FIELD, EntryForm, EntryFormSet, can_hold
from ..forms.summary import count_entries, count_label
from ..models import AllowedDomain, AllowedIP, APIKey
from ..models.choices import Enforcement
from ..models.lists import DOMAINS, IPS, KINDS, ListKind
from ..policy.decision import Mode
from ..policy.tokens import Kind

ROWS_A_PAGE = 25
CHOSEN = ("domain_mode", "ip_mode", "condition", "enforcement", *FIXED)
"""Fields of which one choice is made."""


class EndInput(forms.DateTimeInput):
    """One input for a date with its time, in which browsers show a calendar."""

    input_type = "datetime-local"

    def format_value(self, value: Any) -> Any:
        """Return a date as browsers read it; what was typed as it is."""
        if not isinstance(value, datetime):
            return value
        return value.isoformat(timespec="seconds" if value.second else "minutes")


class PageRows(EntryFormSet):
    """The rows of one list, on the creator's pages."""

    rows_a_page = ROWS_A_PAGE

    def add_fields(self, form: Any, index: int | None) -> None:
        """Show in a blank row what may be typed there."""
        super().add_fields(form, index)
        if form.instance.pk is None:
            kind = form.instance.kind
            form.fields[kind.column].widget.attrs["placeholder"] = example_of(kind)
            form.fields["name"].widget.attrs["placeholder"] = _("Optional")


def _row_field(db_field: Any, **kwargs: Any) -> Any:
    options: dict[str, Any] = {"expires_at": {"widget": EndInput}}
    options |= dict.fromkeys((DOMAINS.column, IPS.column), TEXT_FIELD)
    return db_field.formfield(**kwargs, **options.get(db_field.name, {}))


ROWS: dict[str, Any] = {
    model.kind.field: inlineformset_factory(
        APIKey,
        model,
        form=EntryForm,
        formset=PageRows,
        fields=("name", model.kind.column, "expires_at"),
        extra=1,
        formfield_callback=_row_field,
    )
    for model in (AllowedDomain, AllowedIP)
}


@dataclass
class Section:
    """All about one list: its mode, its entries, and the box that takes several at once."""

    kind: ListKind
    heading: Any
    rows: Any
    mode: Any
    box: Any
    count: str
    help: list[str]
    example: str
    empty: str
    """What the list does while it is empty, if it is."""
    offer: Offer | None = None
    steps: list[Any] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Return the id of the section on its page."""
        return f"{self.kind.field.replace('_', '-')}"


class KeyForms:
    """The forms of one key, or of a new one, as shown or as sent."""

    def __init__(
        self,
        key: APIKey | None,
        sent: Mapping[str, Any] | None,
        query: QueryDict,
        request: HttpRequest | None = None,
    ) -> None:
        """Take the request of a key's own page, which shows once more what was left out before."""
        self.key = key
        instance = APIKey(environment=settings().ENVIRONMENTS[0]) if key is None else key
        kinds = [kind for kind in KINDS if can_hold(kind, key)]
        form_class = _form_class(key, kinds, sent)
        if request is not None:
            show_left_out(request, form_class, instance)
        self.form = form_class(sent, instance=instance, label_suffix="")
        self.rows = [
            ROWS[kind.field](sent, instance=instance, prefix=kind.field, query=query, auto_id=False)
            for kind in kinds
        ]
        self.sections = [self._section(kind, rows) for kind, rows in zip(kinds, self.rows, strict=True)]

    def is_valid(self) -> bool:
        """Return whether each form by itself is valid. All are judged, so that all is said at once."""
        return all([self.form.is_valid(), *(rows.is_valid() for rows in self.rows)])

    def save_rows(self) -> list[Any]:
        """Return the rows' formsets, which know what was changed in them."""
        for rows in self.rows:
            rows.save(commit=False)
        return self.rows

    def show(self, error: ValidationError) -> None:
        """Show what the models refused beside the field that it is about, and which lines can be added."""
        for section in self.sections:
            rows = () if self.key is None else getattr(self.key, section.kind.field).all()
            section.offer = offer(section.kind, self.form.in_box(section.kind), {row.text for row in rows})
        by_field = error.error_dict if hasattr(error, "error_dict") else {"": error.error_list}
        for name, errors in by_field.items():
            for each in errors:
                self._show(name, each)

    def _show(self, name: str, error: ValidationError) -> None:
        params = error.params if isinstance(error.params, dict) else {}
        about = params.get("field", name)
        section = next((each for each in self.sections if about in (each.kind.field, each.kind.column)), None)
        if name in self.form.fields:
            self.form.add_error(name, error)
        elif section is None:
            self.form.add_error(None, error)
        elif params.get("index") is not None and section.box is not None:
            # A row was judged by itself before, so this one is in the box.
            self.form.add_error(section.box.name, error)
        else:
            section.errors += error.messages

    def _is_judged(self, kind: ListKind) -> bool:
        """Return whether the list counts. A key that only reports blocks nothing, whatever is listed."""
        if self.key is None:
            return kind.modes_for(Kind.PUBLISHABLE)[0] == Mode.LISTED
        is_enabled = getattr(self.key, kind.mode) == Mode.LISTED
        return is_enabled and self.key.enforcement == Enforcement.ENFORCE

    def _section(self, kind: ListKind, rows: Any) -> Section:
        names = self.form.fields
        total = 0 if self.key is None else count_entries(self.key, kind).total
        return Section(
            kind,
            HEADINGS[kind.field],
            rows,
            mode=self.form[kind.mode] if kind.mode in names else None,
            box=self.form[PASTED[kind.field]],
            count="" if self.key is None else count_label(total, kind.limit),
            help=entry_help(kind),
            example=example_of(kind),
            empty="" if total or not self._is_judged(kind) else empty_help(kind),
        )


WIDGETS: dict[str, Any] = {**dict.fromkeys(CHOSEN, forms.RadioSelect), "expires_at": EndInput}


def _form_class(key: APIKey | None, kinds: list[ListKind], sent: Mapping[str, Any] | None) -> Any:
    """Return the class of the form, with the fields that leave something to choose."""
    chosen = controls("" if key is None else key.kind)
    if not (key is not None and _are_both_enabled(key)) and "condition" not in (sent or ()):
        chosen = [name for name in chosen if name != "condition"]
    fixed = [] if key is not None else list(FIXED)
    made: Any = modelform_factory(
        APIKey,
        form=APIKeyForm,
        fields=["name", *fixed, *chosen, "enforcement", "expires_at"],
        widgets=WIDGETS,
    )
    if key is None and len(settings().ENVIRONMENTS) == 1:
        made.base_fields["environment"] = forms.CharField(disabled=True, widget=forms.HiddenInput)
    for kind in KINDS:
        if kind not in kinds:
            del made.base_fields[PASTED[kind.field]]
    return made


def _are_both_enabled(key: APIKey) -> bool:
    return all(getattr(key, kind.mode) == Mode.LISTED for kind in KINDS)
