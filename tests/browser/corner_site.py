"""Routes beside the example's: a guarded view that takes every kind of request, and pages that send them."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from allowlist.decorators import allowlisted
from example_project.urls import urlpatterns as example


@allowlisted
def guarded(request: HttpRequest) -> HttpResponse:
    """Send what a script, a form and an EventSource can each do without harm."""
    return HttpResponse(content_type="text/event-stream")


def page(request: HttpRequest, policy: str) -> HttpResponse:
    """Show an empty page that has a referrer policy."""
    return HttpResponse("<body></body>", headers={"Referrer-Policy": policy})


def worker(request: HttpRequest) -> HttpResponse:
    """Send a service worker that requests each URL it receives."""
    return HttpResponse("onmessage = ({data}) => fetch(data);", content_type="text/javascript")


urlpatterns = [
    *example,
    path("corner", guarded),
    path("page", page, {"policy": "strict-origin-when-cross-origin"}),
    path("hides", page, {"policy": "no-referrer"}),
    path("worker.js", worker),
]
