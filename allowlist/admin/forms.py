"""What people type into the admin: the key's form, its lists' rows, and how both are written.

Nothing is judged here but by the models; what they refuse is shown on the form.
"""

from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import APIKey
from ..models.edits import DOMAINS, IPS, Edit, EntryInput, ListKind
from ..models.keys import Entry
from ..policy.decision import Mode
from ..policy.problems import split_pasted
from ..validators import shown

if TYPE_CHECKING:
    from django.forms.models import BaseInlineFormSet

    ModelForm = forms.ModelForm[Any]
    InlineFormSet = BaseInlineFormSet[Entry, APIKey, ModelForm]
else:
    ModelForm, InlineFormSet = forms.ModelForm, forms.BaseInlineFormSet

FIXED = ("kind", "environment")
CHOSEN = ("name", "condition", "enforcement", "expires_at")
PASTED = {DOMAINS.field: "paste_domains", IPS.field: "paste_ips"}
"""The boxes that whole lists are pasted into, by list."""
CHOICES = {"domain_mode": "DOMAIN_MODES", "ip_mode": "IP_MODES", "condition": "CONDITIONS"}
"""The settings that say what may be chosen, by field."""
MODE_HELP = gettext_lazy(
    "While all are allowed, entries in the list do nothing. Choosing to allow all empties the list."
)


class SeenForm(ModelForm):
    """Tells what its user changed from what its user saw, not from what was saved meanwhile.

    So a rename sent from a tab opened long ago changes the name alone.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.show_hidden_initial = not self.instance._state.adding


class APIKeyForm(SeenForm):
    """A key's own fields, and two boxes to paste whole lists into."""

    refused: ValidationError | None = None
    """What the models refused when this form was saved, to be shown on it."""
    is_change: bool

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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_change = not self.instance._state.adding
        for name in self.fields.keys() & {DOMAINS.mode, IPS.mode}:
            self.fields[name].help_text = MODE_HELP
        for name in self.fields.keys() & CHOICES.keys() if self.is_change else ():
            self._offer_stored(name)

    def _offer_stored(self, name: str) -> None:
        """Offer what the key has, even where the settings no longer let it be chosen anew."""
        field: Any = self.fields[name]
        stored = getattr(self.instance, name)
        if stored not in dict(field.choices):
            model_field: Any = APIKey._meta.get_field(name)
            field.choices = [*field.choices, (stored, dict(model_field.flatchoices)[stored])]

    def clean(self) -> dict[str, Any] | None:
        """Show what the models refused."""
        if self.refused is not None:
            raise ValidationError(list(self.refused.messages))
        return super().clean()

    def chose(self, name: str) -> bool:
        """Return whether the user chose a value of the field: for a new key that is what is shown."""
        return name in (self.changed_data if self.is_change else self.cleaned_data)

    def pasted(self, which: ListKind) -> list[EntryInput]:
        """Return the entries in the box of the list."""
        return list(split_pasted(self.cleaned_data.get(PASTED[which.field]) or ""))


class EntryForm(SeenForm):
    """One entry's row."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Stripping would drop control characters, which are refused.
        column: Any = self.fields.get(self.instance.which.column)
        if column is not None:
            column.strip = False

    def validate_constraints(self) -> None:
        """Check nothing: whether a text is listed twice is judged with the whole list, at the end."""


class EntryFormSet(InlineFormSet):
    """The rows of one list."""

    def clean(self) -> None:
        """Name the rows that are no longer there."""
        for form in self.initial_forms:
            if form.instance.pk is None and not form.cleaned_data.get("DELETE"):
                which: ListKind = cast("type[Entry]", self.model).which
                text = form[which.column].value() or ""
                sentence = _("“%(entry)s” has been removed meanwhile. Load this page again.")
                raise ValidationError(sentence % {"entry": shown(text)}, code="deleted")


def write_fields(edit: Edit, form: APIKeyForm) -> None:
    """Write the key's own fields that the user changed."""
    for name in set(form.changed_data) & set(CHOSEN):
        setattr(edit.key, name, form.cleaned_data[name])
    edit.key.save()


def write_list(edit: Edit, which: ListKind, form: APIKeyForm, formsets: list[Any]) -> list[str]:
    """Write one list as its rows (of the formset, if the user may see them) and its box say.

    Return the texts that were listed already.
    """
    mode = form.cleaned_data[which.mode] if form.chose(which.mode) else None
    edit.set(which, mode, None)
    new: list[EntryInput] = []
    for formset in formsets:
        new += [(entry.name, entry.text) for entry in formset.new_objects]
        if mode != Mode.ALL:
            edit.discard(which, [entry.pk for entry in formset.deleted_objects])
            changed = [(entry, set(names) & set(entry.changed())) for entry, names in formset.changed_objects]
            edit.rewrite(which, changed)
    added = edit.add(which, [*new, *form.pasted(which)])
    for formset in formsets:
        formset.new_objects = added.entries  # What the history tells: the pasted too, no duplicates.
    return added.duplicates
