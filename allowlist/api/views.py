"""The management API: creators and their own keys. Mounted by ``include("allowlist.urls")``."""

from typing import Any

from django.db import router
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.pagination import BasePagination, CursorPagination, PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer, ValidationError

from ..models import APIKey
from ..models.entries import Entry
from ..models.lists import DOMAINS, IPS, ListKind
from ..models.locks import writing
from ..signals import acting_as
from .base import CreatorOnlyViewSet
from .check import CheckSerializer
from .serializers import (
    AllowedDomainSerializer,
    AllowedIPSerializer,
    APIKeySerializer,
    OverlapSerializer,
    RevokeSerializer,
)
from .strict import StrictSerializer

__all__ = ["APIKeyViewSet", "CreatorOnlyViewSet", "DomainViewSet", "EntryViewSet", "IPViewSet"]


class HundredKeys(PageNumberPagination):
    """Pages of 100 keys, for a project without a pagination of its own."""

    page_size = 100


class APIKeyViewSet(CreatorOnlyViewSet):
    """Keys: list, create, read, change, delete, rotate, revoke, check."""

    serializer_class: type[BaseSerializer[Any]] = APIKeySerializer

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        """Return what reads the body: that of a step takes the step's own fields."""
        steps = {"rotate": OverlapSerializer, "revoke": RevokeSerializer, "check": CheckSerializer}
        return steps.get(self.action) or super().get_serializer_class()

    def get_queryset(self) -> QuerySet[APIKey]:
        """Return the keys of the user, with their lists."""
        return self.get_keys().prefetch_related(DOMAINS.field, IPS.field)

    def list(self, request: Request, **kwargs: Any) -> Response:
        """Show the user's keys in the project's pages, or in pages of 100 if it has none."""
        keys = self.filter_queryset(self.get_queryset())
        paginator = usable(self.paginator or HundredKeys())
        page = paginator.paginate_queryset(keys, request, view=self)
        if page is None:  # That is how DRF says "not paginated", for a page size of None.
            paginator = HundredKeys()
            page = paginator.paginate_queryset(keys, request, view=self)
        return paginator.get_paginated_response(self.get_serializer(page, many=True).data)

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Create a key. Its token is in this response, and that of a secret key never again."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        with acting_as(request.user), writing(router.db_for_write(APIKey)):
            self.perform_create(serializer)
        return Response(serializer.data, status=status.HTTP_201_CREATED)

    def perform_create(self, serializer: BaseSerializer[Any]) -> None:
        """Create the key. An override may link it to a row of the project's, all or nothing."""
        serializer.save()

    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        """Show a key."""
        return Response(self.get_serializer(self.get_key()).data)

    def partial_update(self, request: Request, **kwargs: Any) -> Response:
        """Change a key: fields, modes and whole lists, judged as one change."""
        serializer = self.get_serializer(self.get_key(), data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        self.perform_update(serializer)
        return Response(serializer.data)

    def perform_update(self, serializer: BaseSerializer[Any]) -> None:
        """Write the change under one lock."""
        key: Any = serializer.instance
        with self.editing(key) as edit:
            serializer.save(edit=edit)

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Delete a key."""
        key = self.get_key()
        with self.editing(key):
            key.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)

    def rotate(self, request: Request, **kwargs: Any) -> Response:
        """Issue a new token, shown in this response. The old one works for ``overlap`` longer."""
        key = self.get_key()
        step = self.get_serializer(data=request.data)
        step.is_valid(raise_exception=True)
        serializer = self.key_serializer(key)
        with self.editing(key):
            serializer.issued_token = key.rotate(**step.validated_data)
        return Response(serializer.data)

    def revoke(self, request: Request, **kwargs: Any) -> Response:
        """End a key for good."""
        key = self.get_key()
        self.get_serializer(data=request.data).is_valid(raise_exception=True)
        with self.editing(key):
            key.revoke()
        return Response(self.key_serializer(key).data)

    def check(self, request: Request, **kwargs: Any) -> Response:
        """Explain what a request with the key would get."""
        key = self.get_key()
        serializer: Any = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return Response(serializer.explanation(key))

    def key_serializer(self, key: APIKey) -> Any:
        """Return the serializer of a key that a step changed."""
        return super().get_serializer_class()(key, context=self.get_serializer_context())


def usable(paginator: BasePagination) -> BasePagination:
    """Return the project's paginator, ordered by primary key if its own order names fields that keys lack."""
    if isinstance(paginator, CursorPagination):
        ordering: Any = paginator.ordering
        named = {name.lstrip("-") for name in ([ordering] if isinstance(ordering, str) else ordering)}
        if not named <= {"pk", *(field.name for field in APIKey._meta.concrete_fields)}:
            paginator.ordering = "pk"
    return paginator


class EntryViewSet(CreatorOnlyViewSet):
    """The entries of one list of one key."""

    key_kwarg = "key_pk"
    pagination_class = None
    kind: ListKind

    def get_queryset(self) -> QuerySet[Entry]:
        """Return the entries of the key that the URL names, which is the user's."""
        return self.entries_of(self.get_key())

    def entries_of(self, key: APIKey) -> QuerySet[Entry]:
        """Return the entries of this list of the key."""
        entries: QuerySet[Entry] = getattr(key, self.kind.field).all()
        return entries

    def get_entry(self) -> Entry:
        """Return the entry that the URL names; raise NotFound unless it is in a key of the user."""
        entry: Entry = self.find(self.get_queryset(), self.kwargs["pk"])
        return entry

    def get_object(self) -> Any:
        """Return the entry that the URL names, or the key if it names no entry."""
        names_list = self.lookup_url_kwarg == self.key_kwarg or "pk" not in self.kwargs
        return self.get_key() if names_list else self.get_entry()

    def list(self, request: Request, **kwargs: Any) -> Response:
        """Show the list."""
        return Response(self.get_serializer(self.get_queryset(), many=True).data)

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Add an entry (a string or an object), or several (a list of them)."""
        key = self.get_key()
        data: Any = request.data
        if isinstance(data, list):
            return self._add_several(key, data)
        if isinstance(data, str):
            data = {self.kind.column: data}
        serializer = self.get_serializer(data=data)
        serializer.is_valid(raise_exception=True)
        with self.editing(key):
            serializer.save(key=key)
        return Response(serializer.data, status=status.HTTP_201_CREATED)

    def replace(self, request: Request, **kwargs: Any) -> Response:
        """Make the list exactly the one sent."""
        key = self.get_key()
        entries = self._read_list(key, request.data)
        with self.editing(key) as edit:
            edit.list(self.kind).replace(entries)
        return Response(self.get_serializer(self.entries_of(edit.key), many=True).data)

    def restore(self, request: Request, **kwargs: Any) -> Response:
        """Bring back the list that one change emptied."""
        key = self.get_key()
        StrictSerializer(data=request.data).is_valid(raise_exception=True)
        with self.editing(key) as edit:
            edit.list(self.kind).restore()
        return Response(self.get_serializer(self.entries_of(key), many=True).data)

    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        """Show an entry."""
        return Response(self.get_serializer(self.get_entry()).data)

    def partial_update(self, request: Request, **kwargs: Any) -> Response:
        """Change an entry's name, text or end."""
        entry = self.get_entry()
        serializer = self.get_serializer(entry, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        with self.editing(entry.key):
            serializer.save()
        return Response(serializer.data)

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Remove an entry."""
        entry = self.get_entry()
        with self.editing(entry.key):
            entry.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _add_several(self, key: APIKey, data: Any) -> Response:
        entries = self._read_list(key, data)
        with self.editing(key) as edit:
            added = edit.list(self.kind).add(entries)
        entries_added = self.get_serializer(added.entries, many=True).data
        return Response(
            {"added": entries_added, "duplicates": added.duplicates}, status=status.HTTP_201_CREATED
        )

    def _read_list(self, key: APIKey, data: Any) -> Any:
        """Return the entries sent, read as a PATCH of the key reads them."""
        field = self.kind.field
        if not isinstance(data, list):
            raise ValidationError({field: [_("Send a list of entries, as JSON.")]})
        context = self.get_serializer_context()
        serializer = APIKeySerializer(key, data={field: data}, partial=True, context=context)
        if not serializer.is_valid():
            # Without the key's serializer, which the browsable API would make a form of.
            raise ValidationError(dict(serializer.errors))
        return serializer.validated_data[field]


class DomainViewSet(EntryViewSet):
    """The domains of a key."""

    serializer_class = AllowedDomainSerializer
    kind = DOMAINS


class IPViewSet(EntryViewSet):
    """The IP addresses and networks of a key."""

    serializer_class = AllowedIPSerializer
    kind = IPS
