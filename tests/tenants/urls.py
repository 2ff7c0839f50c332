"""A widget whose key is named by its token, or by its number."""

from typing import Any

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from allowlist.permissions import IsAllowlisted
from allowlist.throttling import APIKeyRateThrottle


class TwoAMinute(APIKeyRateThrottle):
    """A low rate."""

    rate = "2/min"


class ByNumber(IsAllowlisted):
    """The key is named by its primary key."""

    def get_key(self, request: Request, view: Any) -> Any:
        """Return what the query says."""
        return request.query_params["number"]


class Widget(APIView):
    """Guarded."""

    authentication_classes = ()
    permission_classes: Any = (IsAllowlisted,)

    def get(self, request: Any) -> Response:
        """Return the key's name."""
        return Response({"key": request.allowlist.key.name})


urlpatterns = [
    path("", Widget.as_view()),
    path("by-number/", Widget.as_view(permission_classes=[ByNumber])),
    path("throttled/", Widget.as_view(throttle_classes=[TwoAMinute])),
]
