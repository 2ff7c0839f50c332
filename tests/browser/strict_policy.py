"""A middleware, as Django has one only from 6.0."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

POLICY = "default-src 'self'"


def strict_policy(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Send the policy with each response of the service; the pretend sites are other people's."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.get_host().partition(":")[0] == "localhost":
            response["Content-Security-Policy"] = POLICY
        return response

    return middleware
