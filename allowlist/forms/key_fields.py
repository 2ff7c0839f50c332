"""The forms of a key's own fields.

The models judge what is typed. A page shows what they refuse on the form.
"""

from copy import copy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy

from ..conf import settings
from ..models import APIKey
from ..models.lists import DOMAINS, IPS, KINDS, MOST_AT_ONCE, EntryInput, ListKind
from ..policy.decision import Mode
from ..policy.problems import split_pasted
from ..policy.tokens import Kind
from .pasting import ADD_VALID, sort_pasted

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Any]
else:
    ModelForm = forms.ModelForm

FIXED = ("kind", "environment")
HEADINGS = {DOMAINS.field: gettext_lazy("Allowed domains"), IPS.field: gettext_lazy("Allowed IPs")}
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
SECRET_MODE = gettext_lazy(
    "Secret keys have no domain list. Choose “Allow all domains”, and list the servers' IPs instead."
)


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
        """Return the entries in the box of the list; only the valid ones if their user chose to add these."""
        left_out = self.left_out(kind)
        return [text for text in self.in_box(kind) if text not in left_out]

    def in_box(self, kind: ListKind) -> list[str]:
        """Return the entries in the box of the list."""
        return split_pasted(self.cleaned_data.get(PASTED[kind.field]) or "")

    def left_out(self, kind: ListKind) -> dict[str, str]:
        """Return the entries that its user chose to leave out, each with the sentence that says why."""
        entries = self.in_box(kind) if ADD_VALID in self.data else []
        return sort_pasted(kind, entries).wrong if len(entries) <= MOST_AT_ONCE else {}


class RotateForm(forms.Form):
    """How long the current token keeps working beside the new one."""

    keep = forms.ChoiceField(
        label=gettext_lazy("How long does the current token keep working?"),
        label_suffix="",
        choices=[
            ("0", gettext_lazy("Not at all: it stops working immediately")),
            ("1", gettext_lazy("1 hour")),
            ("24", gettext_lazy("1 day")),
            ("168", gettext_lazy("7 days")),
            ("hours", gettext_lazy("The number of hours that you enter below")),
        ],
        widget=forms.RadioSelect,
        initial="0",
        required=False,
    )
    hours = forms.IntegerField(
        label=gettext_lazy("Hours"),
        min_value=1,
        max_value=24 * 365,
        required=False,
    )

    def clean(self) -> dict[str, Any]:
        """Turn what was chosen into ``overlap``."""
        typed = self.cleaned_data
        keep = typed.get("keep") or "0"
        if keep == "hours":
            if typed.get("hours") is None and "hours" not in self.errors:
                self.add_error("hours", gettext("Enter a number of hours."))
            keep = typed.get("hours") or "0"
        return {**typed, "overlap": timedelta(hours=int(keep))}


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


def keep_left_out(request: HttpRequest, form: KeyForm) -> None:
    """Have the key's page show once more, in their boxes, the pasted entries that were left out."""
    left_out = {PASTED[kind.field]: "\n".join(form.left_out(kind)) for kind in KINDS}
    if kept := {name: text for name, text in left_out.items() if text}:
        request.session[_left_out_of(form.instance)] = kept


def show_left_out(request: HttpRequest, form_class: Any, key: APIKey) -> None:
    """Have the form show what ``keep_left_out`` kept for the key."""
    for name, text in request.session.pop(_left_out_of(key), {}).items():
        if name in form_class.base_fields:
            # The forms of all users share the field itself.
            form_class.base_fields[name] = copy(form_class.base_fields[name])
            form_class.base_fields[name].initial = text


def _left_out_of(key: APIKey) -> str:
    return f"allowlist_left_out_{key.pk}"
