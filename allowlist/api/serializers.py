"""The management API's representations. What may be written is decided by the models."""

from collections.abc import Collection, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.settings import api_settings

from ..models import AllowedDomain, AllowedIP, APIKey
from ..models.edits import Problems
from ..models.entries import Entry
from ..models.lists import DOMAINS, IPS, MOST_AT_ONCE, EntryInput, ListKind
from ..policy.tokens import Kind
from ..validators import shown

if TYPE_CHECKING:
    Field = serializers.Field[Any, Any, Any, Any]
else:
    Field = serializers.Field


MISSPELT = 0.75
"""How alike a name and a field's must be for it to be meant; others are ignored, as DRF does."""


def misspelt(data: Any, names: Collection[str]) -> dict[str, list[str]]:
    """Return a sentence for each name in ``data`` that is nearly one of ``names``.

    Were it ignored, as DRF does, a key would be open without the list that was meant, or end at once
    without the overlap.
    """
    given = data if isinstance(data, Mapping) else ()
    unknown = [name for name in given if name not in names and len(name) < 40]
    return {
        name: [_("There is no such field. Did you mean “%(near)s”?") % {"near": near[0]}]
        for name in unknown[: len(names)]  # People misspell no more, and comparing takes time.
        if (near := get_close_matches(name, names, n=1, cutoff=MISSPELT))
    }


class Spelt(serializers.Serializer[Any]):
    """A serializer that refuses a field's name misspelt."""

    def to_internal_value(self, data: Any) -> Any:
        """Return what was sent."""
        if errors := misspelt(data, self.fields):
            raise serializers.ValidationError(errors)
        return super().to_internal_value(data)


class ChoiceField(serializers.ChoiceField):
    """A choice; what is none is told short and fit to be printed, whatever was sent."""

    def fail(self, key: str, **kwargs: Any) -> NoReturn:
        """Raise the error."""
        super().fail(key, **{name: shown(str(value)) for name, value in kwargs.items()})


class DateTimeField(serializers.DateTimeField):
    """A moment; one that another time zone puts past the calendar's end is refused."""

    def enforce_timezone(self, value: datetime) -> datetime:
        """Return the moment as the project's settings have it, aware or naive."""
        try:
            return super().enforce_timezone(value)
        except OverflowError:
            self.fail("overflow")


class EntryField(Field):
    """One entry: a text or ``{name, domain}`` in, ``{id, name, domain}`` out."""

    default_error_messages = {
        "type": _("Write an entry as a text, or as an object with “{column}” and, if you like, “name”."),
    }

    def __init__(self, which: ListKind, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.which = which

    def to_internal_value(self, data: Any) -> EntryInput:
        """Return the text or the (name, text) pair."""
        column = self.which.column
        if isinstance(data, str):
            return data
        if not isinstance(data, dict) or not isinstance(data.get(column), str):
            self.fail("type", column=column)
        if errors := misspelt(data, ("id", "name", column)):
            raise serializers.ValidationError([sentence for each in errors.values() for sentence in each])
        if "name" not in data:
            return str(data[column])
        name = serializers.CharField(max_length=100, allow_blank=True).run_validation(data["name"])
        return str(name), str(data[column])

    def to_representation(self, value: Entry) -> dict[str, Any]:
        """Return the entry's id, name and canonical text."""
        return {"id": value.pk, "name": value.name, self.which.column: value.text}


class EntryListField(serializers.ListField):
    """A key's whole list."""

    def __init__(self, which: ListKind, **kwargs: Any) -> None:
        super().__init__(child=EntryField(which), required=False, **kwargs)

    def to_internal_value(self, data: Any) -> list[EntryInput]:
        """Return the entries, as texts and (name, text) pairs."""
        if isinstance(data, list) and len(data) > MOST_AT_ONCE:
            self.fail("max_length", max_length=MOST_AT_ONCE)
        entries: list[EntryInput] = super().to_internal_value(data)
        return entries

    def get_attribute(self, instance: APIKey) -> list[Entry]:
        """Return the rows behind the related name."""
        rows: Any = getattr(instance, str(self.source))
        return list(rows.all())


class APIKeySerializer(Spelt, serializers.ModelSerializer[APIKey]):
    """A key with its lists. The token is there for publishable keys alone."""

    allowed_domains = EntryListField(DOMAINS)
    allowed_ips = EntryListField(IPS)
    serializer_choice_field = ChoiceField
    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.DateTimeField: DateTimeField,
    }

    class Meta:
        model = APIKey
        fields = (
            "id",
            "name",
            "kind",
            "environment",
            "token",
            "domain_mode",
            "ip_mode",
            "condition",
            "enforcement",
            "allowed_domains",
            "allowed_ips",
            "created_at",
            "last_used_at",
            "expires_at",
            "revoked_at",
        )
        read_only_fields = ("token", "created_at", "last_used_at", "revoked_at")

    issued_token: str | None = None

    def get_initial(self) -> Any:
        """Return what the browsable API fills in: no null where none may be sent."""
        initial: dict[str, Any] = super().get_initial()
        return {
            name: value
            for name, value in initial.items()
            if value is not None or self.fields[name].allow_null
        }

    def to_representation(self, instance: APIKey) -> dict[str, Any]:
        """Return the key; a secret key's token only in the answer that made it."""
        shown: dict[str, Any] = super().to_representation(instance)
        if instance.kind == Kind.SECRET:
            del shown["token"]
        if self.issued_token is not None:
            shown["token"] = self.issued_token
        return shown

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse to change what is fixed for good."""
        for name in ("kind", "environment"):
            if self.instance is not None and attrs.pop(name, None) not in (
                None,
                getattr(self.instance, name),
            ):
                raise serializers.ValidationError({name: [_("This is fixed for good. Make another key.")]})
        return attrs

    def create(self, validated_data: dict[str, Any]) -> APIKey:
        """Make the key for the user of the request, and keep its token for this one answer."""
        creator = self.context["request"].user
        key, self.issued_token = APIKey.objects.create_key(creator=creator, **validated_data)
        return key

    def update(self, instance: APIKey, validated_data: dict[str, Any]) -> APIKey:
        """Change fields, modes and whole lists as one change."""
        with instance.editing() as edit:
            problems = Problems()
            for entries in edit.lists:
                mode = validated_data.pop(entries.kind.mode, None)
                with problems.collected():
                    entries.set(mode, validated_data.pop(entries.kind.field, None))
            problems.raise_any()
            edit.write(**validated_data)
        return instance


class _EntrySerializer(Spelt, serializers.ModelSerializer[Any]):
    """One entry by itself. The model checks the text, under the key's lock."""

    which_model: type[Any]

    def create(self, validated_data: dict[str, Any]) -> Entry:
        """Add the entry to the key of the context."""
        entry: Entry = self.which_model(key=self.context["key"], **validated_data)
        entry.save()
        return entry


class AllowedDomainSerializer(_EntrySerializer):
    """A site a key works from."""

    which_model = AllowedDomain

    class Meta:
        model = AllowedDomain
        fields = ("id", "name", "domain")
        extra_kwargs = {"domain": {"max_length": None, "trim_whitespace": False}}


class AllowedIPSerializer(_EntrySerializer):
    """An address or network a key works from."""

    which_model = AllowedIP

    class Meta:
        model = AllowedIP
        fields = ("id", "name", "ip")
        extra_kwargs = {"ip": {"max_length": None, "trim_whitespace": False}}


class OverlapSerializer(Spelt):
    """How long the old token goes on working after a rotation: seconds, or ``[days] hh:mm:ss``."""

    overlap = serializers.DurationField(required=False)


def errors_of(error: DjangoValidationError) -> dict[str, Any]:
    """Return a model's errors as DRF's: by field, and by position where one of several is meant."""
    if hasattr(error, "error_dict"):
        return dict(error.message_dict)
    shown: dict[str, Any] = {}
    for each in error.error_list:
        params = each.params if isinstance(each.params, dict) else {}
        field = params.get("field", api_settings.NON_FIELD_ERRORS_KEY)
        if (index := params.get("index")) is None:
            shown.setdefault(field, []).extend(each.messages)
        else:
            shown.setdefault(field, {}).setdefault(str(index), []).extend(each.messages)
    return shown
