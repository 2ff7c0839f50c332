"""Fields of other models' admin forms that link to a key."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin.widgets import ForeignKeyRawIdWidget
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _

from ..models import APIKey
from .ownership import own_keys

if TYPE_CHECKING:
    from django.contrib.admin.options import BaseModelAdmin
    from django.db.models import ForeignKey

    AnyAdmin = BaseModelAdmin[Any]
    ModelChoiceField = forms.ModelChoiceField[APIKey]
else:
    AnyAdmin, ModelChoiceField = object, forms.ModelChoiceField


class OwnKeyField(ModelChoiceField):
    """Takes the user's own keys. An object keeps the key that it has, but the form doesn't name it."""

    foreign: APIKey | None = None
    """The key that the form's object has, if it is someone else's."""

    def get_bound_field(self, form: Any, field_name: str) -> forms.BoundField:
        """Return the form's field, which also takes the key that the form's object has."""
        own: Any = self.queryset
        link = form.instance._meta.get_field(field_name)
        present = getattr(form.instance, link.attname)
        if not form.instance._state.adding and not own.filter(**{link.target_field.name: present}).exists():
            theirs = APIKey.objects.filter(**{link.target_field.name: present})
            self.queryset, self.foreign = own | theirs, theirs.first()
        return super().get_bound_field(form, field_name)

    def label_from_instance(self, obj: APIKey) -> str:
        """Return the key's name, if the key is the user's."""
        return _("Someone else's key") if obj == self.foreign else super().label_from_instance(obj)


class OwnKeyRawIdWidget(ForeignKeyRawIdWidget):
    """Shows the name of a key beside its id, if the key is the user's."""

    choices: Any = None
    """The field's choices, which the field sets."""

    def label_and_url_for_value(self, value: Any) -> tuple[str, str]:
        """Return the key's name and address."""
        try:
            key = self.choices.field.clean(value)
        except ValidationError:
            return "", ""
        if key == self.choices.field.foreign:
            return self.choices.field.label_from_instance(key), ""
        return super().label_and_url_for_value(value)


class OwnKeysMixin(AnyAdmin):
    """For a ``ModelAdmin`` or an inline of a model that links to ``APIKey``.

    Its form fields for foreign keys and one-to-one fields to ``APIKey`` offer and accept the user's own
    keys only, as a select, with ``autocomplete_fields`` and with ``raw_id_fields``. An object keeps the key
    that it has, even if it is someone else's.
    """

    def formfield_for_foreignkey(
        self, db_field: "ForeignKey[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> Any:
        """Return the form field, which takes the user's own keys if it links to one."""
        if db_field.remote_field.model is APIKey:
            kwargs = {"form_class": OwnKeyField, "queryset": own_keys(request), **kwargs}
            if db_field.name in self.raw_id_fields:
                kwargs.setdefault("widget", OwnKeyRawIdWidget(db_field.remote_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)
