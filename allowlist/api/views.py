"""The management API: creators and their own keys. Mounted by ``include("allowlist.urls")``."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework import mixins, status, viewsets
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, NotFound, ParseError
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer, ValidationError

from ..authentication import APIKeyAuthentication
from ..models import APIKey
from ..models.entries import Entry
from ..models.lists import DOMAINS, IPS, ListKind
from .serializers import (
    AllowedDomainSerializer,
    AllowedIPSerializer,
    APIKeySerializer,
    EntryListField,
    OverlapSerializer,
    errors_of,
)


class BusyError(APIException):
    """What a writer gets who met another one: 409, and nothing was changed."""

    status_code = status.HTTP_409_CONFLICT


class CreatorOnlyViewSet(viewsets.GenericViewSet[Any]):
    """What is common to all: people alone, each with their own keys, whatever the project's defaults.

    ``not_found_message`` is the text of every 404, that of somebody else's key included.
    """

    permission_classes = (IsAuthenticated,)
    filter_backends = ()
    not_found_message = "Not found."
    key_kwarg = "pk"

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Return the project's own, but none that takes an API key for a login."""
        return [each for each in super().get_authenticators() if not isinstance(each, APIKeyAuthentication)]

    def get_keys(self) -> QuerySet[APIKey]:
        """Return the keys of the user."""
        keys = APIKey.objects.manageable_by(self.request.user)
        return keys.prefetch_related(DOMAINS.field, IPS.field)

    def get_key(self) -> APIKey:
        """Return the key of the URL; raise NotFound unless it is the user's own."""
        key: APIKey = self._one(self.get_keys(), self.kwargs[self.key_kwarg])
        return key

    @contextmanager
    def locked(self, key: APIKey) -> Iterator[None]:
        """Lock the key for the block; raise NotFound where it is the user's own no more."""
        with key.locked():
            self._one(APIKey.objects.manageable_by(self.request.user), key.pk)
            yield

    def get_object(self) -> Any:
        """Return what the URL names, for those parts of DRF that ask for it."""
        return self.get_key()

    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        """Describe the route; raise NotFound for somebody else's key, as every method does."""
        if self.key_kwarg in self.kwargs:
            self.get_object()
        return super().options(request, *args, **kwargs)

    def handle_exception(self, exc: Exception) -> Response:
        """Answer a model's refusal with 400 and its errors by field and entry; 409 where others write."""
        if isinstance(exc, DjangoValidationError):
            is_busy = getattr(exc, "code", None) == "busy"
            exc = BusyError(exc.messages[0]) if is_busy else ValidationError(errors_of(exc))
        if isinstance(exc, RecursionError):
            exc = ParseError(_("The body is nested too deeply."))
        return super().handle_exception(exc)

    def _one(self, rows: QuerySet[Any], pk: Any) -> Any:
        row = rows.filter(pk=pk).first()
        if row is None:
            raise NotFound(self.not_found_message)
        return row


class APIKeyViewSet(mixins.ListModelMixin, CreatorOnlyViewSet):
    """Keys: list, make, read, change, delete, rotate, revoke."""

    serializer_class = APIKeySerializer

    def get_serializer_class(self) -> type[Any]:
        """Return what is read where a key is rotated or revoked, for the browsable API's forms."""
        read = {"rotate": OverlapSerializer, "revoke": Serializer}
        return read.get(self.action) or super().get_serializer_class()

    def get_shown(self, key: APIKey) -> APIKeySerializer:
        """Return what a key is answered with."""
        return APIKeySerializer(key, context=self.get_serializer_context())

    def get_queryset(self) -> QuerySet[APIKey]:
        """Return the keys of the user."""
        return self.get_keys()

    def create(self, request: Request) -> Response:
        """Make a key. Its token is in this answer, and for a secret key never again."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return Response(serializer.data, status=status.HTTP_201_CREATED)

    def retrieve(self, request: Request, pk: int) -> Response:
        """Show a key."""
        return Response(self.get_serializer(self.get_key()).data)

    def partial_update(self, request: Request, pk: int) -> Response:
        """Change a key: fields, modes and whole lists, judged as one change."""
        key = self.get_key()
        serializer = self.get_serializer(key, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        with self.locked(key):
            serializer.save()
        return Response(serializer.data)

    def destroy(self, request: Request, pk: int) -> Response:
        """Delete a key."""
        key = self.get_key()
        with self.locked(key):
            key.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)

    def rotate(self, request: Request, pk: int) -> Response:
        """Give a key a new token, shown in this answer; the old one works for ``overlap`` longer."""
        key = self.get_key()
        asked = OverlapSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        shown = self.get_shown(key)
        with self.locked(key):
            shown.issued_token = key.rotate(**asked.validated_data)
        return Response(shown.data)

    def revoke(self, request: Request, pk: int) -> Response:
        """End a key for good."""
        key = self.get_key()
        with self.locked(key):
            key.revoke()
        return Response(self.get_shown(key).data)


class EntryViewSet(CreatorOnlyViewSet):
    """The entries of one list of one key."""

    key_kwarg = "key_pk"
    pagination_class = None
    which: ListKind

    def get_queryset(self) -> QuerySet[Entry]:
        """Return the entries of the key of the URL, which is the user's own."""
        entries: QuerySet[Entry] = getattr(self.get_key(), self.which.field).all()
        return entries

    def get_entry(self) -> Entry:
        """Return the entry of the URL; raise NotFound unless it is of a key of the user's own."""
        entry: Entry = self._one(self.get_queryset(), self.kwargs["pk"])
        return entry

    def get_object(self) -> Any:
        """Return the entry of the URL, or the key where it names none."""
        return self.get_entry() if "pk" in self.kwargs else self.get_key()

    def list(self, request: Request, key_pk: int) -> Response:
        """Show the list."""
        return Response(self.get_serializer(self.get_queryset(), many=True).data)

    def create(self, request: Request, key_pk: int) -> Response:
        """Add an entry (a text or an object), or several (a list of them)."""
        key = self.get_key()
        data: Any = request.data
        if isinstance(data, list):
            return self._add_several(key, data)
        if isinstance(data, str):
            data = {self.which.column: data}
        serializer = self.get_serializer(data=data, context={**self.get_serializer_context(), "key": key})
        serializer.is_valid(raise_exception=True)
        with self.locked(key):
            serializer.save()
        return Response(serializer.data, status=status.HTTP_201_CREATED)

    def replace(self, request: Request, key_pk: int) -> Response:
        """Make the list exactly the one given."""
        key = self.get_key()
        entries = self._read_list(request.data)
        with self.locked(key), key.editing() as edit:
            edit.list(self.which).replace(entries)
        return self.list(request, key_pk)

    def retrieve(self, request: Request, key_pk: int, pk: int) -> Response:
        """Show an entry."""
        return Response(self.get_serializer(self.get_entry()).data)

    def partial_update(self, request: Request, key_pk: int, pk: int) -> Response:
        """Change an entry's name or text."""
        entry = self.get_entry()
        serializer = self.get_serializer(entry, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        with self.locked(entry.key):
            serializer.save()
        return Response(serializer.data)

    def destroy(self, request: Request, key_pk: int, pk: int) -> Response:
        """Remove an entry."""
        entry = self.get_entry()
        with self.locked(entry.key):
            entry.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _add_several(self, key: APIKey, data: Any) -> Response:
        entries = self._read_list(data)
        with self.locked(key), key.editing() as edit:
            added = edit.list(self.which).add(entries)
        shown = self.get_serializer(added.entries, many=True).data
        return Response({"added": shown, "duplicates": added.duplicates}, status=status.HTTP_201_CREATED)

    def _read_list(self, data: Any) -> Any:
        if not isinstance(data, list):
            raise ValidationError({self.which.field: [_("Send a list of entries, as JSON.")]})
        field = EntryListField(self.which)
        field.field_name = self.which.field
        try:
            return field.run_validation(data)
        except ValidationError as error:
            raise ValidationError({self.which.field: error.detail}) from None


class DomainViewSet(EntryViewSet):
    """The sites of a key."""

    serializer_class = AllowedDomainSerializer
    which = DOMAINS


class IPViewSet(EntryViewSet):
    """The addresses and networks of a key."""

    serializer_class = AllowedIPSerializer
    which = IPS
