"""The paths of the process's cases, with their views."""

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


def _view(case: Case) -> type[APIView]:
    classes = {
        "permission_classes": [import_string(name) for name in case.permissions],
        "authentication_classes": [import_string(name) for name in case.authenticators],
    }
    return type("View", (Bare,), classes)


urlpatterns = [path(case.name, _view(case).as_view()) for case in CASES if case.name in SETUP["cases"]]
