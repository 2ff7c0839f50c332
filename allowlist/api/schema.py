"""The management API for drf-spectacular: what each operation takes and returns."""

from functools import wraps
from typing import Any

from drf_spectacular.extensions import (
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
    OpenApiViewExtension,
)
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import (
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
    inline_serializer,
)
from rest_framework import serializers

from ..models.choices import Status
from ..models.explaining import ENVIRONMENT
from ..models.lists import DOMAINS, ListKind
from ..policy.decision import Rule
from ..policy.explanation import Difference
from .blocked import AllowSeveralSerializer, BlockedSourceSerializer
from .check import CheckSerializer
from .serializers import (
    AllowedDomainSerializer,
    AllowedIPSerializer,
    OverlapSerializer,
    RevokeSerializer,
)
from .views import HundredKeys

_DETAIL = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
_ERRORS = {
    400: ({"type": "object", "additionalProperties": True}, "What is wrong, by field."),
    401: (_DETAIL, "You aren't logged in."),
    403: (_DETAIL, "You aren't logged in, or can't have keys."),
    404: (_DETAIL, "It doesn't exist, or isn't yours."),
    409: (_DETAIL, "Someone else is changing the key, or it is in use. Nothing was changed."),
    413: (_DETAIL, "The body is too large."),
}
_READ, _WRITE, _DELETE = (401, 403, 404), (400, 401, 403, 404, 409, 413), (400, 401, 403, 404, 409)


class NearSerializer(serializers.Serializer[Any]):
    """A listed entry that nearly matches."""

    entry = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    difference = serializers.ChoiceField([str(each) for each in Difference])
    suggestion = serializers.CharField(allow_null=True)


class VerdictSerializer(serializers.Serializer[Any]):
    """What one of the two rules finds."""

    rule = serializers.ChoiceField([str(Rule.DOMAIN), str(Rule.IP)])
    applies = serializers.BooleanField()
    passed = serializers.BooleanField(allow_null=True)
    reason = serializers.CharField(allow_null=True)
    entry = serializers.CharField(allow_null=True)
    nearest = NearSerializer(many=True)


class ExplanationSerializer(serializers.Serializer[Any]):
    """What a request would get, and why."""

    allowed = serializers.BooleanField()
    reason = serializers.CharField(allow_null=True)
    served = serializers.BooleanField()
    key_status = serializers.ChoiceField([*(str(each) for each in Status), ENVIRONMENT])
    page = serializers.CharField()
    ip = serializers.CharField(allow_null=True)
    rules = VerdictSerializer(many=True)
    message = serializers.CharField(allow_null=True)
    hint = serializers.CharField(allow_null=True)


class NamedEnums(OpenApiSerializerExtension):
    """Names the enums of a serializer, so that they don't meet those of the project."""

    prefix = "Key"
    target_class: Any = "allowlist.api.serializers.APIKeySerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> Any:
        """Return the serializer's schema, with each enum as a component of its own."""
        schema = super().map_serializer(auto_schema, direction)
        for name, field in schema["properties"].items():
            if "enum" in field:
                schema["properties"][name] = self._named(auto_schema, name, field)
        # The token of a secret key is only in the response that issues it.
        schema["required"] = [name for name in schema["required"] if name != "token"]
        return schema

    def _named(self, auto_schema: Any, name: str, field: dict[str, Any]) -> dict[str, Any]:
        label = self.prefix + name.title().replace("_", "")
        of_enum = ("enum", "type", "x-spec-enum-id")
        enum = {"type": "string", "enum": [str(each) for each in field["enum"]]}
        component = ResolvedComponent(name=label, type=ResolvedComponent.SCHEMA, object=label, schema=enum)
        auto_schema.registry.register_on_missing(component)
        return {"allOf": [component.ref], **{each: field[each] for each in field if each not in of_enum}}


class NamedNearEnums(NamedEnums):
    """Names the enum of what differs."""

    prefix = "Near"
    target_class = NearSerializer


class NamedVerdictEnums(NamedEnums):
    """Names the enum of the rules."""

    prefix = "Verdict"
    target_class = VerdictSerializer


class NamedExplanationEnums(NamedEnums):
    """Names the enum of what a key's status can be here."""

    prefix = "Explained"
    target_class = ExplanationSerializer


class EntryFieldSchema(OpenApiSerializerFieldExtension):
    """An entry of a key's list: a string or an object in, an object out."""

    target_class = "allowlist.api.serializers.EntryField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        """Return the field's schema."""
        entry = auto_schema.resolve_serializer(entry_serializer(self.target.kind), direction).ref
        return {"oneOf": [{"type": "string"}, entry]} if direction == "request" else entry


class KeysSchema(OpenApiViewExtension):
    """The routes of keys."""

    target_class = "allowlist.api.views.APIKeyViewSet"
    match_subclasses = True

    def view_replacement(self) -> Any:
        """Return the viewset, with what its operations take and return."""
        key = self.target.serializer_class
        pages = self.target.pagination_class or HundredKeys
        return _described(
            self.target,
            {"pagination_class": pages},
            list=_operation({200: key(many=True)}, (401, 403)),
            create=_operation({201: key}, (400, 401, 403, 413)),
            retrieve=_operation({200: key}, _READ),
            partial_update=_operation({200: key}, _WRITE),
            destroy=_operation({204: None}, _DELETE),
            rotate=_operation({200: key}, _WRITE, request=OverlapSerializer),
            revoke=_operation({200: key}, _WRITE, request=RevokeSerializer),
            check=_operation(
                {200: ExplanationSerializer}, (400, 401, 403, 404, 413), request=CheckSerializer
            ),
        )


class EntriesSchema(OpenApiViewExtension):
    """The routes of the entries of one list."""

    target_class = "allowlist.api.views.EntryViewSet"
    match_subclasses = True

    def view_replacement(self) -> Any:
        """Return the viewset, with what its operations take and return."""
        entry, kind = self.target.serializer_class, self.target.kind
        one = {"oneOf": [{"type": "string"}, _entry_schema(kind)]}
        several = {"type": "array", "items": one}
        either = {"oneOf": [*one["oneOf"], several]}
        texts, name = serializers.ListField(child=serializers.CharField()), entry.Meta.model.__name__
        added = inline_serializer(f"Added{name}s", {"added": entry(many=True), "duplicates": texts})
        created: Any = PolymorphicProxySerializer(
            f"Created{name}", [entry, added], resource_type_field_name=None
        )
        return _described(
            self.target,
            {},
            list=_operation({200: entry(many=True)}, _READ),
            create=_operation({201: created}, _WRITE, request={"application/json": either}),
            replace=_operation({200: entry(many=True)}, _WRITE, request={"application/json": several}),
            restore=_operation({200: entry(many=True)}, _WRITE, request=None),
            retrieve=_operation({200: entry}, _READ),
            partial_update=_operation({200: entry}, _WRITE),
            destroy=_operation({204: None}, _DELETE),
        )


class BlockedSchema(OpenApiViewExtension):
    """The routes of what a key blocked."""

    target_class = "allowlist.api.blocked.BlockedViewSet"
    match_subclasses = True

    def view_replacement(self) -> Any:
        """Return the viewset, with what its operations take and return."""
        lists = [AllowedDomainSerializer, AllowedIPSerializer]
        one: Any = PolymorphicProxySerializer("ListedEntry", lists, resource_type_field_name=None)
        several: Any = PolymorphicProxySerializer(
            "ListedEntries", lists, resource_type_field_name=None, many=True
        )
        return _described(
            self.target,
            {},
            list=_operation({200: BlockedSourceSerializer(many=True)}, _READ),
            forget=_operation({204: None}, _DELETE),
            allow=_operation({201: one}, _WRITE, request=None),
            allow_several=_operation(
                {201: several}, _WRITE, request=AllowSeveralSerializer, name="keys_blocked_allow_several"
            ),
        )


def entry_serializer(kind: ListKind) -> Any:
    """Return the serializer of the list's entries."""
    # DRF copies a field's arguments, this one too.
    return AllowedDomainSerializer if kind.field == DOMAINS.field else AllowedIPSerializer


def _entry_schema(kind: ListKind) -> dict[str, Any]:
    """Return an entry as it is sent."""
    text, name = {"type": "string"}, {"type": "string", "maxLength": 100}
    ends = {"type": "string", "format": "date-time", "nullable": True}
    properties = {kind.column: text, "name": name, "expires_at": ends}
    return {"type": "object", "properties": properties, "required": [kind.column]}


def _operation(
    responses: dict[int, Any], errors: tuple[int, ...], name: str | None = None, **options: Any
) -> Any:
    for status in errors:
        schema, description = _ERRORS[status]
        responses = {**responses, status: OpenApiResponse(schema, description=description)}
    return extend_schema(operation_id=name, responses=responses, **options)


def _described(target: Any, attributes: dict[str, Any], **operations: Any) -> Any:
    """Return a subclass of the viewset for the schema alone. What the project describes itself stays."""
    names = {**attributes, "__doc__": target.__doc__, "__module__": target.__module__}
    for name, operation in operations.items():
        if not hasattr(getattr(target, name), "kwargs"):
            names[name] = operation(_copied(getattr(target, name)))
    return type(target.__name__, (target,), names)


def _copied(method: Any) -> Any:
    """Return a method that does the same: a description is kept on the method."""

    @wraps(method)
    def copied(*args: Any, **kwargs: Any) -> Any:
        return method(*args, **kwargs)  # pragma: no cover - it is only described

    return copied
