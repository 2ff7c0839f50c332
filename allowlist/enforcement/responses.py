"""What a refused caller gets: status, body and headers. Nothing here knows DRF."""

import logging
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Self

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.http import HttpResponse, HttpResponseBase, JsonResponse
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from rest_framework.utils.encoders import JSONEncoder

from ..conf import EMBED_HEADER, settings
from ..policy.decision import Reason, Rule
from ..policy.origins import Origin
from .access import Access

logger = logging.getLogger("allowlist")

CHALLENGE = "Api-Key"
"""The authentication scheme named in ``WWW-Authenticate``."""

Text = str | Promise

_HINTS: dict[Reason, Text] = {
    Reason.ORIGIN_NOT_LISTED: _(
        "Add this origin to the key's allowed domains. An entry doesn't cover subdomains "
        "such as www, and one for https:// doesn't cover http://."
    ),
    Reason.ORIGIN_OPAQUE: _(
        "The page has no origin: browsers send “null” for sandboxed iframes, local files and some redirects. "
        "Add allow-same-origin to the iframe's sandbox attribute, or open the page from a website."
    ),
    Reason.ORIGIN_MALFORMED: _(
        "Send the Origin header as browsers do: scheme, host, and port if it isn't the default. Only http "
        "and https origins can be listed. From a browser extension or an app, send the request through your "
        "own server, with a secret key."
    ),
    Reason.ORIGIN_HIDDEN: _(
        "The browser hides which page sent the request. Set the page's Referrer-Policy to "
        'strict-origin-when-cross-origin, or add referrerpolicy="origin" to the element that sends the '
        "request."
    ),
    Reason.ORIGIN_MISSING: _(
        "To send requests from a server, use a secret key and add the server's address to its allowed IPs."
    ),
    Reason.IP_NOT_LISTED: _(
        "If this is your server's IP address, which may have changed, add it to the key's allowed IPs. If it "
        "is a proxy's, ask the operator of this service to add the proxy to TRUSTED_PROXIES."
    ),
    Reason.IP_UNKNOWN: _(
        "Ask the operator of this service to check its proxy settings (TRUSTED_PROXIES, CLIENT_IP_HEADER)."
    ),
    Reason.BROWSER_NOT_ALLOWED: _("Send the request from your server, or enable the key's domain list."),
    Reason.SERVER_NOT_ALLOWED: _("Send the request from a web page, or enable the key's IP list."),
    Reason.KEY_MISSING: _("Send your API key in the %(header)s header."),
    Reason.KEY_INVALID: _("Copy the whole key again, or ask its creator for a new one."),
    Reason.KEY_IN_URL: _("Rotate the key, and send the new one in the %(header)s header."),
    Reason.SECRET_KEY_IN_BROWSER: _("Rotate the key, and use a publishable key on web pages."),
    Reason.EMBED_TOKEN_INVALID: _(
        "Reload the frame. If it has a sandbox attribute, add allow-same-origin there."
    ),
    Reason.UNDECIDED: _("Send the request again in a moment."),
}
"""What to do about each reason."""


_MESSAGES = {
    reason: f"{reason.rule}_message" if reason.rule in (Rule.DOMAIN, Rule.IP) else f"{reason}_message"
    for reason in Reason
} | {
    Reason.BROWSER_NOT_ALLOWED: "browser_not_allowed_message",
    Reason.SERVER_NOT_ALLOWED: "server_not_allowed_message",
}
"""The attribute that holds each reason's message."""


class Refusal(NamedTuple):
    """A refusal as a caller gets it."""

    status: int
    body: Any
    message: str

    @property
    def data(self) -> Any:
        """Return what the response's JSON is. As in DRF, a bare string is put into ``detail``."""
        return {"detail": self.body} if isinstance(self.body, str) else self.body


class RefusalResponses:
    """The response to each refusal. A subclass changes it by the attributes and ``get_`` methods.

    ``reason`` is one of ``allowlist.policy.decision.Reason``. While a response is made, ``self.access``
    is what was decided about the request.
    """

    access: Access | None = None

    refused_status: int = 403
    refused_code: str = "PERMISSION_DENIED"
    domain_message: Text = _(
        "Permission denied. Check your security settings and ensure your domain is allowlisted."
    )
    ip_message: Text = _(
        "Permission denied. Check your security settings and ensure your source IP is allowlisted."
    )
    browser_not_allowed_message: Text = _("Permission denied. This key accepts requests from servers only.")
    server_not_allowed_message: Text = _("Permission denied. This key accepts requests from web pages only.")
    key_missing_message: Text = _("No API key was sent. Send yours in the %(header)s header.")
    key_invalid_message: Text = _(
        "This API key does not work: it may be mistyped, revoked or expired. Its creator can see which."
    )
    key_in_url_message: Text = _(
        "A secret key was sent in the URL, which servers log. Rotate it, and send the new one in the "
        "%(header)s header."
    )
    secret_key_in_browser_message: Text = _(
        "A secret key was sent by a browser, where every visitor can copy it. Rotate it, and use a "
        "publishable key on web pages."
    )
    embed_token_invalid_message: Text = _(
        "The frame's embed token doesn't work: it is too old, or of another key or page."
    )
    undecided_message: Text = _("The request could not be checked. Try again in a moment.")

    def get_status(self, reason: Reason) -> int:
        """Return the HTTP status, from 400 to 599."""
        if reason in (Reason.KEY_MISSING, Reason.KEY_INVALID):
            return 401
        if reason is Reason.UNDECIDED:
            return 503
        return self.refused_status if reason.rule in (Rule.DOMAIN, Rule.IP) else 403

    def get_code(self, reason: Reason) -> str:
        """Return the code, one for each kind of response."""
        if reason in (Reason.KEY_MISSING, Reason.KEY_INVALID):
            return "UNAUTHENTICATED"
        return "UNAVAILABLE" if reason is Reason.UNDECIDED else self.refused_code

    def get_message(self, reason: Reason) -> str:
        """Return the sentence that says what is wrong."""
        name = _MESSAGES[reason]
        is_general = reason is Reason.SERVER_NOT_ALLOWED and not self._has_own(name)
        if is_general and self._has_own("domain_message"):
            name = "domain_message"
        text = getattr(self, name) if self._has_own(name) else _message(name, get_language())
        return _with_header(text)

    def get_hint(self, reason: Reason) -> str:
        """Return the sentence that says what to do about it."""
        return _with_header(_hint(reason, get_language()))

    def get_body(self, reason: Reason) -> Any:
        """Return the body. It shows what was seen of the request, and nothing of the key's lists."""
        body: dict[str, str | None] = {
            "code": self.get_code(reason),
            "message": self.get_message(reason),
            "reason": str(reason),
            "hint": self.get_hint(reason),
        }
        source = None if self.access is None else self.access.source
        if reason.rule is Rule.DOMAIN or reason is Reason.BROWSER_NOT_ALLOWED:
            page = None if source is None else source.page
            body["origin"] = str(page) if isinstance(page, Origin) else None
        if reason.rule is Rule.IP:
            address = None if source is None else source.read_address()
            body["ip"] = None if address is None else str(address)
        return body

    def _has_own(self, name: str) -> bool:
        return getattr(self, name) is not getattr(RefusalResponses, name)

    def refusal(self, access: Access) -> Refusal:
        """Return the response to a refused request; a plain 503 if a subclass's method fails."""
        reason = access.decision.reason or Reason.UNDECIDED
        try:
            return self._copied(access)._refusal(reason)
        except Exception:
            logger.exception("%s failed to make a response.", type(self).__name__)
            return RefusalResponses()._refusal(Reason.UNDECIDED)

    def _copied(self, access: Access) -> Self:
        """Return a copy for one request: several may share this instance."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__, access=access)
        return copy

    def _refusal(self, reason: Reason) -> Refusal:
        status: Any = self.get_status(reason)
        if not isinstance(status, int) or not 400 <= status <= 599:
            raise ValueError(f"get_status() returned {status!r}. It must return a number from 400 to 599.")
        body = self.get_body(reason)
        message = body.get("message") if isinstance(body, dict) else body
        return Refusal(int(status), body, message if isinstance(message, str) else self.get_message(reason))


def json_response(data: Any, status: int, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return a response with the JSON that DRF makes of ``data``. Raises TypeError if it can't be JSON."""
    return JsonResponse(
        data, JSONEncoder, safe=False, json_dumps_params=_AS_DRF, status=status, headers=headers
    )


_AS_DRF = {"ensure_ascii": False, "separators": (",", ":")}


def refusal_response(refusal: Refusal) -> HttpResponse:
    """Return a refusal as JSON; a plain 503 if its body can't be JSON."""
    headers = {"WWW-Authenticate": CHALLENGE} if refusal.status == 401 else None
    try:
        return json_response(refusal.data, refusal.status, headers)
    except Exception:
        logger.exception("The body of a refusal can't be JSON.")
        return refusal_response(RefusalResponses()._refusal(Reason.UNDECIDED))


def set_headers(response: HttpResponseBase, accesses: Collection[Access]) -> None:
    """Have a response say what it depends on, and that no shared cache may store it."""
    served, uses_cookies = bool(accesses), False
    for access in accesses:
        served = served and access.served
        uses_cookies = uses_cookies or access.uses_cookies
        if access.embedding is not None and access.embedding.is_old and access.embed_token is not None:
            response.headers[EMBED_HEADER] = access.embed_token
    headers = response.headers
    headers["Vary"] = _vary(headers.get("Vary"), _key_header(), uses_cookies)
    if "Cache-Control" not in headers:
        headers["Cache-Control"] = "private" if served else "private, no-store"
    else:
        patch_cache_control(response, private=True, **({} if served else {"no_store": True}))


@lru_cache(maxsize=256)
def _message(name: str, _language: str | None) -> str:
    """Return one of our own messages in the active language. To translate it takes 5 % of a refusal."""
    return str(getattr(RefusalResponses, name))


@lru_cache(maxsize=256)
def _hint(reason: Reason, _language: str | None) -> str:
    return str(_HINTS[reason])


def _forget_translations(**kwargs: Any) -> None:
    _message.cache_clear()
    _hint.cache_clear()


setting_changed.connect(_forget_translations, dispatch_uid="allowlist.enforcement.responses")


def _with_header(text: Text) -> str:
    text = str(text)
    return text.replace("%(header)s", settings().KEY_HEADER) if "%(header)s" in text else text


def _key_header() -> str | None:
    """Return the key's header, if the settings are right enough to name one; else nobody is served."""
    try:
        return settings().KEY_HEADER
    except ImproperlyConfigured:
        return None


@lru_cache(maxsize=64)
def _vary(own: str | None, key_header: str | None, uses_cookies: bool) -> str:
    """Return the response's own ``Vary`` with what a decision depends on."""
    response = HttpResponse(headers={} if own is None else {"Vary": own})
    names = (
        "Origin",
        "Referer",
        "Authorization",
        key_header,
        EMBED_HEADER,
        "Cookie" if uses_cookies else None,
    )
    patch_vary_headers(response, [name for name in names if name is not None])
    return response.headers["Vary"]
