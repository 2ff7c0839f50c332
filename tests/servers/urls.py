"""The test project's routes, and one that shows what the server passed to Django."""

from django.http import HttpRequest, JsonResponse
from django.urls import include, path

from allowlist.enforcement.client_ip import client_address
from allowlist.throttling import APIKeyRateThrottle
from tests.testapp.views import PairedView


class Throttle(APIKeyRateThrottle):
    """A rate that nobody reaches here."""

    rate = "10000/min"


def seen(request: HttpRequest) -> JsonResponse:
    """Return what the server put into ``REMOTE_ADDR``, and the client's IP address."""
    address = client_address(request)
    return JsonResponse(
        {"remote": request.META.get("REMOTE_ADDR"), "client": None if address is None else str(address)}
    )


urlpatterns = [
    path("seen/", seen),
    path("throttled/", PairedView.as_view(throttle_classes=[Throttle])),
    path("", include("tests.testapp.urls")),
]
