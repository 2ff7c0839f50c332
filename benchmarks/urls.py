"""The paths of the process's cases, with their views."""

from typing import Any

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.utils.module_loading import import_string
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from benchmarks.cases import CASES, Case
from benchmarks.settings import SETUP


class Bare(APIView):
    """Returns as little as a view can."""

    def get(self, request: Request) -> Response:
        """Return the response."""
        return Response({"title": "widget"})


def plain(request: HttpRequest) -> JsonResponse:
    """Return as little as a plain view can."""
    return JsonResponse({"title": "widget"})


async def plain_async(request: HttpRequest) -> JsonResponse:
    """Return as little as an async view can."""
    return JsonResponse({"title": "widget"})


def _view(case: Case) -> Any:
    if case.is_plain:
        return _plain_view(case)
    classes = {
        "permission_classes": [import_string(name) for name in case.permissions],
        "authentication_classes": [import_string(name) for name in case.authenticators],
    }
    view: Any = type("View", (Bare,), classes)
    return view.as_view()


def _plain_view(case: Case) -> Any:
    view: Any = plain_async if case.asgi else plain
    if not case.permissions:
        return view
    # Some processes run without our app, and can't import it.
    return import_string("allowlist.decorators.allowlisted")(view)


urlpatterns = [path(case.name, _view(case)) for case in CASES if case.name in SETUP["cases"]]
