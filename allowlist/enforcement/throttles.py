"""DRF's throttles for views that aren't DRF's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView, exception_handler

from .access import Access
from .drf import ask_throttles
from .responses import json_response


@dataclass(frozen=True, slots=True)
class Throttles:
    """The throttles of one view. In the view's place, they are given a DRF view with these attributes."""

    throttle_classes: tuple[type[BaseThrottle], ...]
    throttle_scope: str | None
    permission_classes: tuple[Any, ...]
    allowlist_key_kwarg: str | None

    def count(self, request: HttpRequest, kwargs: Mapping[str, Any], access: Access) -> HttpResponse | None:
        """Count a request; return DRF's response to too many, or None.

        A throttle that fails raises, unless the request is refused anyway.
        """
        view = APIView(
            throttle_classes=self.throttle_classes,
            throttle_scope=self.throttle_scope,
            permission_classes=self.permission_classes,
            allowlist_key_kwarg=self.allowlist_key_kwarg,
            kwargs=kwargs,
        )
        view.request = Request(request)
        try:
            if access.served:
                view.check_throttles(view.request)
            else:
                ask_throttles(view, view.request, access)
        except APIException as error:
            response: Any = exception_handler(error, {})
            del response.headers["Content-Type"]
            return json_response(response.data, response.status_code, response.headers)
        return None
