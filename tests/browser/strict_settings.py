"""The example's settings on a site whose Content-Security-Policy allows no inline code and no other host."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from example_project.settings import *  # noqa: F403
from example_project.settings import MIDDLEWARE as _MIDDLEWARE

POLICY = "default-src 'self'"
MIDDLEWARE = [f"{__name__}.send_policy", *_MIDDLEWARE]


# Django has a middleware of its own only from 6.0.
def send_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[..., HttpResponse]:
    """Send the policy with each response of the service; the pretend sites are other people's."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.get_host().partition(":")[0] == "localhost":
            response["Content-Security-Policy"] = POLICY
        return response

    return middleware
