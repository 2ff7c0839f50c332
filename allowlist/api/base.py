"""What the viewsets of the management API have in common."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import RequestDataTooBig
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework import viewsets
from rest_framework.authentication import BaseAuthentication, BasicAuthentication, SessionAuthentication
from rest_framework.exceptions import NotFound
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.utils.mediatypes import media_type_matches
from rest_framework.views import APIView

from ..authentication import APIKeyAuthentication
from ..models import APIKey
from ..models.edits import KeyEdit
from ..models.keysets import may_have_keys
from ..signals import acting_as
from .errors import api_error
from .parsers import guarded

DRF_DEFAULT = [SessionAuthentication, BasicAuthentication]
"""What Django REST framework authenticates by in a project that sets nothing."""


class CreatorOnlyViewSet(viewsets.GenericViewSet[Any]):
    """A viewset for people who are logged in, each with their own keys, whatever the project's defaults.

    ``not_found_message`` is the text of every 404, also of the one for someone else's key.
    """

    permission_classes: Sequence[Any] = (IsAuthenticated,)
    filter_backends = ()
    # NamespaceVersioning would take our own namespace for a version, and respond with 404.
    versioning_class = None
    not_found_message = "Not found."
    key_kwarg = "pk"

    @property
    def default_response_headers(self) -> dict[str, str]:
        """Return the headers of every response, also of an error: a cache would show tokens to others."""
        # Django 5.2's own cache respects "private" only.
        return {**super().default_response_headers, "Cache-Control": "private, no-store"}

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Return the project's own; without any, sessions alone. An API key is never a login.

        DRF's default includes Basic: by it a password alone would pass a second factor of the login page.
        """
        classes: Any = self.authentication_classes
        if classes is APIView.authentication_classes and list(classes) == DRF_DEFAULT:
            is_set = "DEFAULT_AUTHENTICATION_CLASSES" in getattr(django_settings, "REST_FRAMEWORK", {})
            classes = api_settings.DEFAULT_AUTHENTICATION_CLASSES if is_set else [SessionAuthentication]
        return [each() for each in classes if not issubclass(each, APIKeyAuthentication)]

    def get_parsers(self) -> list[BaseParser]:
        """Return the project's parsers, and JSON's if they lack it: a list of entries is plain JSON."""
        parsers = super().get_parsers()
        if not any(media_type_matches(each.media_type, JSONParser.media_type) for each in parsers):
            parsers.append(JSONParser())
        return [guarded(each) for each in parsers]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Run the checks before the method, the size of the body among them."""
        super().initial(request, *args, **kwargs)
        limit: int | None = django_settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        length = request.META.get("CONTENT_LENGTH") or "0"
        # DRF's JSON parser reads the body itself, past Django's own check.
        if limit is not None and length.isdecimal() and int(length) > limit:
            raise RequestDataTooBig

    def check_permissions(self, request: Request) -> None:
        """Refuse everyone who isn't logged in, and everyone whom ``MAY_HAVE_KEYS`` leaves out."""
        super().check_permissions(request)
        if not may_have_keys(request.user):
            self.permission_denied(request, message=_("Your account can't have API keys."))

    def get_keys(self) -> QuerySet[APIKey]:
        """Return the keys of the user. An override narrows what is read and what is written."""
        return APIKey.objects.manageable_by(self.request.user)

    def get_key(self) -> APIKey:
        """Return the key that the URL names; raise NotFound unless it is the user's."""
        key: APIKey = self.find(self.get_keys(), self.kwargs[self.key_kwarg])
        return key

    @contextmanager
    def editing(self, key: APIKey) -> Iterator[KeyEdit]:
        """Lock the key for one change, which is judged as a whole and is the user's in ``key_changed``.

        Raises NotFound if the key isn't the user's any more.
        """
        with acting_as(self.request.user), key.editing() as edit:
            self.find(self.get_keys(), key.pk)
            yield edit

    def get_object(self) -> Any:
        """Return what the URL names, for those parts of DRF that want it."""
        return self.get_key()

    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        """Describe the route; raise NotFound for someone else's key, as every method does."""
        if self.detail is not False and self.key_kwarg in self.kwargs:
            self.get_object()
        return super().options(request, *args, **kwargs)

    def handle_exception(self, exc: Exception) -> Response:
        """Return the response to an error, a model's refusal included."""
        return super().handle_exception(api_error(exc))

    def find(self, rows: QuerySet[Any], pk: Any) -> Any:
        """Return the row with this primary key; raise NotFound if there isn't one."""
        try:
            row = rows.filter(pk=pk).first()
        except (TypeError, ValueError):
            row = None  # A route of the project's may capture anything.
        if row is None:
            raise NotFound(self.not_found_message)
        return row
