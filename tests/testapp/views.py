"""Views as projects write them, each guarding a widget in one of the supported ways."""

from typing import Any

from django.contrib.auth import get_user_model
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from allowlist.api.views import APIKeyViewSet
from allowlist.authentication import APIKeyAuthentication
from allowlist.permissions import IsAllowlisted, IsAllowlistedQuietly


class OpenView(APIView):
    """Guarded by nothing."""

    permission_classes: list[Any] = [AllowAny]

    def get(self, request: Request, **kwargs: Any) -> Response:
        """Return what the view knows about the request."""
        access = getattr(request, "allowlist", None)
        return Response(
            {
                "key": access.key.name if access and access.key else None,
                "auth": getattr(request.auth, "name", None),
                "user": str(request.user),
                "entry": access.decision.entry if access else None,
            }
        )


class AloneView(OpenView):
    """Guarded by the permission alone; the authenticators are the project's."""

    permission_classes = [IsAllowlisted]


class PairedView(OpenView):
    """Guarded by the permission, with the key's authentication."""

    authentication_classes = [APIKeyAuthentication]
    permission_classes = [IsAllowlisted]


class PathView(OpenView):
    """Guarded; the key is in the URL path."""

    permission_classes = [IsAllowlisted]
    allowlist_key_kwarg = "public_id"


class HasTeapot(BasePermission):
    """Grants if and only if the request has an X-Teapot header."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the header is there."""
        return "X-Teapot" in request.headers


class BothView(OpenView):
    """Guarded by the permission and another one."""

    permission_classes = [IsAllowlisted & HasTeapot]


class EitherView(OpenView):
    """Open to listed places and to teapots."""

    permission_classes = [IsAllowlistedQuietly | HasTeapot]


class ProjectKeyViewSet(APIKeyViewSet):
    """The management API in a project's own words."""

    not_found_message = "Project not found"


class HeaderAuthentication(BaseAuthentication):
    """A project's own way for people to log in."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        """Return the user of the X-Test-User header."""
        pk = request.headers.get("X-Test-User")
        return None if pk is None else (get_user_model()._default_manager.get(pk=pk), None)

    def authenticate_header(self, request: Request) -> str:
        """Return the scheme, so that an anonymous request gets a 401."""
        return "X-Test-User"
