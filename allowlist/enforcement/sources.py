"""Where a request comes from: its page, and its address if a rule needs it."""

from django.http import HttpRequest

from ..policy.decision import Source
from ..policy.origins import read_page
from .client_ip import client_address


def read_source(request: HttpRequest) -> Source:
    """Return where ``request`` comes from. The address is worked out when a rule needs it."""
    meta = request.META
    page = read_page(meta.get("HTTP_ORIGIN"), meta.get("HTTP_REFERER"), meta.get("HTTP_SEC_FETCH_SITE"))
    return Source(page, lambda: client_address(request))
