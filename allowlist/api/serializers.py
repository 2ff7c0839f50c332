"""The management API's representations. What may be written is decided by the models."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn, cast

from django.conf import settings as django_settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.utils.html import is_html_input, parse_html_list

from ..models import AllowedDomain, AllowedIP, APIKey
from ..models.edits import KeyEdit, Problems
from ..models.entries import Entry
from ..models.lists import DOMAINS, IPS, MOST_AT_ONCE, EntryInput, ListKind
from ..policy.tokens import Kind
from ..validators import shown
from .strict import StrictSerializer, refused_names

if TYPE_CHECKING:
    Field = serializers.Field[Any, Any, Any, Any]
else:
    Field = serializers.Field

FIXED = ("kind", "environment")
"""Fields of a key that are chosen when it is created and never change."""


class ChoiceField(serializers.ChoiceField):
    """A choice. Its error repeats what was sent short and printable."""

    def fail(self, key: str, **kwargs: Any) -> NoReturn:
        """Raise the error."""
        super().fail(key, **{name: shown(str(value)) for name, value in kwargs.items()})


class DateTimeField(serializers.DateTimeField):
    """A date and time. It refuses one that another time zone moves past the calendar's end."""

    def __init__(self, **kwargs: Any) -> None:
        # The browsable API parses what it fills into a datetime-local input, and fails if it isn't a date.
        super().__init__(**{"style": {"input_type": "text"}, **kwargs})

    def enforce_timezone(self, value: datetime) -> datetime:
        """Return the time as the project's settings have it, aware or naive."""
        try:
            if not django_settings.USE_TZ and timezone.is_aware(value):
                # DRF's would be naive UTC, but without USE_TZ Django's times are local.
                return timezone.make_naive(value, timezone.get_default_timezone())
            return super().enforce_timezone(value)
        except OverflowError:
            self.fail("overflow")


def entry_data(entry: Entry) -> dict[str, Any]:
    """Return what an entry is read as."""
    dates = {name: _date(getattr(entry, name)) for name in ("expires_at", "last_matched_at")}
    return {
        "id": entry.pk,
        "name": entry.name,
        entry.kind.column: entry.text,
        "in_force": entry.in_force,
        **dates,
    }


def _date(value: datetime | None) -> Any:
    return None if value is None else DateTimeField().to_representation(value)


ENTRY_FIELDS: dict[str, Callable[[], Any]] = {
    "name": lambda: serializers.CharField(max_length=100, allow_blank=True),
    "expires_at": lambda: DateTimeField(allow_null=True),
}
"""What an entry may have besides its string."""


class EntryField(Field):
    """One entry of a list: a string or an object in, an object out."""

    entry_fields = ENTRY_FIELDS
    default_error_messages = {
        "type": _(
            "Send an entry as a string, or as an object with “{column}” and optional “name” and “expires_at”."
        ),
    }

    def __init__(self, kind: ListKind, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind

    def to_internal_value(self, data: Any) -> EntryInput:
        """Return the string, or the entry's fields."""
        column = self.kind.column
        if isinstance(data, str):
            return data
        if not isinstance(data, dict) or not isinstance(data.get(column), str):
            self.fail("type", column=column)
        read_only = {"id", "in_force", "last_matched_at"}
        writable = {column, *self.entry_fields}
        if errors := refused_names(data, data, writable, read_only, lambda: self._current(data)):
            raise serializers.ValidationError([sentence for each in errors.values() for sentence in each])
        sent = [name for name in self.entry_fields if name in data]
        given = {name: self.entry_fields[name]().run_validation(data[name]) for name in sent}
        return {column: str(data[column]), **given}

    def to_representation(self, value: Entry) -> dict[str, Any]:
        """Return the entry as an object."""
        return entry_data(value)

    def _current(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the listed entry with the same id, or without an id the same text, is read as now."""
        key: APIKey | None = self.parent.parent.instance
        listed = [] if key is None else [entry_data(row) for row in rows_of(key, self.kind)]
        name = "id" if "id" in data else self.kind.column
        return next((each for each in listed if each[name] == data[name]), {})


def rows_of(key: APIKey, kind: ListKind) -> list[Entry]:
    """Return the entries of one of the key's lists, prefetched ones if there are any."""
    return list(getattr(key, kind.field).all())


class EntryListField(serializers.ListField):
    """A key's whole list."""

    entry_field = EntryField

    def __init__(self, kind: ListKind, **kwargs: Any) -> None:
        super().__init__(child=self.entry_field(kind), required=False, **kwargs)
        self.kind = kind

    def get_value(self, dictionary: Any) -> Any:
        """Return the list. In a PATCH by a form, DRF before 3.18 ignores numbered items."""
        if is_html_input(dictionary) and self.field_name not in dictionary:
            return parse_html_list(dictionary, prefix=str(self.field_name), default=serializers.empty)
        return super().get_value(dictionary)

    def to_internal_value(self, data: Any) -> list[EntryInput]:
        """Return the entries, as strings and mappings."""
        if isinstance(data, list) and len(data) > MOST_AT_ONCE:
            self.fail("max_length", max_length=MOST_AT_ONCE)
        entries: list[EntryInput] = super().to_internal_value(data)
        return entries

    def get_attribute(self, instance: APIKey) -> list[Entry]:
        """Return the rows."""
        return rows_of(instance, self.kind)


class APIKeySerializer(StrictSerializer, serializers.ModelSerializer[APIKey]):
    """A key with its lists. Only a publishable key shows its token."""

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
            "status",
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
        """Return what the browsable API fills in: no null for a field that can't be null."""
        initial: dict[str, Any] = super().get_initial()
        return {
            name: value
            for name, value in initial.items()
            if value is not None or self.fields[name].allow_null
        }

    def to_representation(self, instance: APIKey) -> dict[str, Any]:
        """Return the key; a secret key's token only in the response that issues it."""
        data: dict[str, Any] = super().to_representation(instance)
        if instance.kind == Kind.SECRET:
            del data["token"]
        if self.issued_token is not None:
            data["token"] = self.issued_token
        return data

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse to change what never changes."""
        if self.instance is None:
            return attrs
        sentence = _("This can't be changed. Create another key instead.")
        fixed = {name: attrs.pop(name) for name in FIXED if name in attrs}
        errors = {name: [sentence] for name, value in fixed.items() if value != getattr(self.instance, name)}
        if errors:
            raise serializers.ValidationError(errors)
        return attrs

    def create(self, validated_data: dict[str, Any]) -> APIKey:
        """Create the key for the user of the request, and keep its token for this one response."""
        fields = {"creator": self.context["request"].user, **validated_data}
        key, self.issued_token = APIKey.objects.create_key(**fields)
        return key

    def update(self, instance: APIKey, validated_data: dict[str, Any]) -> APIKey:
        """Change fields, modes and whole lists as parts of one edit, which the view opened."""
        edit: KeyEdit = validated_data.pop("edit")
        problems = Problems()
        for each in edit.lists:
            mode, entries = (validated_data.pop(name, None) for name in (each.kind.mode, each.kind.field))
            with problems.collected():
                each.set(mode, entries)
        problems.raise_any()
        edit.write(**validated_data)
        return cast("APIKey", edit.key)  # As locked: ``instance`` may be older in what wasn't sent.


class EntrySerializer(StrictSerializer, serializers.ModelSerializer[Any]):
    """One entry by itself. The model checks the text, under the key's lock."""

    in_force = serializers.BooleanField(read_only=True)
    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.DateTimeField: DateTimeField,
    }


class AllowedDomainSerializer(EntrySerializer):
    """A site that a key works from."""

    class Meta:
        model = AllowedDomain
        fields = ("id", "name", "domain", "in_force", "expires_at", "last_matched_at")
        read_only_fields = ("last_matched_at",)
        extra_kwargs = {"domain": {"max_length": None, "trim_whitespace": False}}


class AllowedIPSerializer(EntrySerializer):
    """An IP address or network that a key works from."""

    class Meta:
        model = AllowedIP
        fields = ("id", "name", "ip", "in_force", "expires_at", "last_matched_at")
        read_only_fields = ("last_matched_at",)
        extra_kwargs = {"ip": {"max_length": None, "trim_whitespace": False}}


class StepSerializer(StrictSerializer):
    """What a step on a key takes."""

    class Meta:
        # In a JSON:API project, a step's body and response are of the key's own resource type.
        model = APIKey


class OverlapSerializer(StepSerializer):
    """How long the old token still works after a rotation: seconds, or ``[days] hh:mm:ss``."""

    overlap = serializers.DurationField(required=False)


class RevokeSerializer(StepSerializer):
    """Nothing: revoking a key takes no fields."""
