"""What a key refused, over the API: read it, forget it, and allow what should have been served."""

from collections.abc import Collection, Sequence
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from ..models import BlockedSource
from ..models.entries import Entry
from ..models.lists import DOMAINS
from ..models.suggestions import Suggestions, allow, forget
from .base import CreatorOnlyViewSet
from .serializers import AllowedDomainSerializer, AllowedIPSerializer, StepSerializer

MOST_AT_ONCE = 1000
"""How many places one request allows."""
LARGEST_ID = 2**63 - 1


class BlockedSourceSerializer(serializers.ModelSerializer[BlockedSource]):
    """A place that a key refused, with the entry that would allow it."""

    suggestion = serializers.SerializerMethodField()

    class Meta:
        model = BlockedSource
        fields = (
            *("id", "reason", "origin", "ip", "count", "reported", "first_seen_at", "last_seen_at"),
            "suggestion",
        )

    def get_suggestion(self, row: BlockedSource) -> str | None:
        """Return the entry that would allow this place alone, or None."""
        suggestions: Suggestions = self.context["suggestions"]
        return suggestions.text_of(row)


class AllowSerializer(StepSerializer):
    """Nothing: the URL says which place is allowed."""


class AllowSeveralSerializer(StepSerializer):
    """The places to allow."""

    ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=LARGEST_ID),
        allow_empty=False,
        max_length=MOST_AT_ONCE,
    )


class BlockedViewSet(CreatorOnlyViewSet):
    """The places that one key refused."""

    key_kwarg = "key_pk"
    pagination_class = None
    serializer_class = BlockedSourceSerializer

    def get_serializer_class(self) -> Any:
        """Return what reads the body: that of a step takes the step's own fields."""
        steps = {"allow": AllowSerializer, "allow_several": AllowSeveralSerializer}
        return steps.get(self.action) or super().get_serializer_class()

    def get_queryset(self) -> QuerySet[BlockedSource]:
        """Return what the key that the URL names refused."""
        return self.get_key().blocked_sources.all()

    def get_object(self) -> Any:
        """Return the row that the URL names, or the key if it names no row."""
        return self.find(self.get_queryset(), self.kwargs["pk"]) if "pk" in self.kwargs else self.get_key()

    def list(self, request: Request, **kwargs: Any) -> Response:
        """Show what the key refused, the latest first."""
        key = self.get_key()
        context = {**self.get_serializer_context(), "suggestions": Suggestions(key)}
        rows = key.blocked_sources.all()
        return Response(BlockedSourceSerializer(rows, many=True, context=context).data)

    def forget(self, request: Request, **kwargs: Any) -> Response:
        """Delete what the key refused until now."""
        key = self.get_key()
        with self.editing(key) as edit:
            forget(edit)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def allow(self, request: Request, **kwargs: Any) -> Response:
        """List the suggestion for one place, and return the entry."""
        row: BlockedSource = self.get_object()
        self.get_serializer(data=request.data).is_valid(raise_exception=True)
        (entry,) = self._allow([row.pk])
        return Response(self._shown(entry), status=status.HTTP_201_CREATED)

    def allow_several(self, request: Request, **kwargs: Any) -> Response:
        """List the suggestions for several places, all or none, and return the entries."""
        self.get_key()
        step = self.get_serializer(data=request.data)
        step.is_valid(raise_exception=True)
        entries = self._allow(step.validated_data["ids"])
        return Response([self._shown(entry) for entry in entries], status=status.HTTP_201_CREATED)

    def _allow(self, pks: Collection[int]) -> Sequence[Entry]:
        with self.editing(self.get_key()) as edit:
            try:
                return allow(edit, pks)
            except BlockedSource.DoesNotExist as error:
                raise NotFound(self.not_found_message) from error

    def _shown(self, entry: Entry) -> Any:
        serializer = AllowedDomainSerializer if entry.kind is DOMAINS else AllowedIPSerializer
        return serializer(entry, context=self.get_serializer_context()).data
