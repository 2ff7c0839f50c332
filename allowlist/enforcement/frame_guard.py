"""The guard of a view that serves a frame's document: the page that embeds the frame is judged."""

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..policy.decision import Reason
from .access import accesses
from .checking import Enforcer, acheck, check
from .csp import HEADER, set_ancestors
from .plain import Guard
from .responses import CHALLENGE, Refusal, Text, set_headers

logger = logging.getLogger("allowlist")

TEMPLATE = "allowlist/embed_refused.html"
_FRAMES = ("iframe", "frame", "object", "embed")
"""What ``Sec-Fetch-Dest`` says of a request for a frame's document."""
_PURPOSES = ("HTTP_SEC_PURPOSE", "HTTP_PURPOSE")
_NO_FRAME: Text = _("This page works only in a frame of another page.")
_HIDES: Text = _("The page that embeds this frame hides its origin.")
_SHOW: Text = _('Add referrerpolicy="origin" to the iframe.')

_MESSAGES: dict[Reason, Text] = {
    Reason.ORIGIN_HIDDEN: _HIDES,
    Reason.ORIGIN_MISSING: _HIDES,
    Reason.KEY_MISSING: _("The URL of this frame has no API key."),
    Reason.KEY_IN_URL: _("The URL of this frame has a secret key, which every visitor can read."),
}
_HINTS: dict[Reason, Text] = {
    Reason.ORIGIN_NOT_LISTED: _("Add %(origin)s to the key's allowed domains."),
    Reason.ORIGIN_HIDDEN: _SHOW,
    Reason.ORIGIN_MISSING: _SHOW,
    Reason.KEY_MISSING: _("Add your key to the URL."),
    Reason.KEY_IN_URL: _("Rotate the key, and use a publishable key in the URL."),
}
"""What a frame says in other words than the response to a script."""


class FrameEnforcer(Enforcer):
    """Judges the page that embeds a frame, and says what is wrong to a person who looks at the frame."""

    opens_frame = True

    def get_message(self, reason: Reason) -> str:
        """Return the sentence that says what is wrong."""
        return str(_MESSAGES[reason]) if reason in _MESSAGES else super().get_message(reason)

    def get_hint(self, reason: Reason) -> str:
        """Return the sentence that says what to do about it."""
        if reason not in _HINTS:
            return super().get_hint(reason)
        page = None if self.access is None else self.access.source.page
        return str(_HINTS[reason]).replace("%(origin)s", str(page))


class FrameRefused(HttpResponse):
    """A page that says why a frame is refused. Any page may embed it, as it holds nothing else."""

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(_page(message, hint), status=status)
        self.headers[HEADER] = "default-src 'none'"
        if status == 401:
            self.headers["WWW-Authenticate"] = CHALLENGE


class FrameGuard(Guard):
    """Has a view serve a frame's document if the key allows the page that embeds the frame."""

    def __init__(self, key_kwarg: str | None = None) -> None:
        self._key_kwarg = key_kwarg

    def judge(self, request: HttpRequest, kwargs: Mapping[str, Any]) -> HttpResponseBase | None:
        """Return a refusal, or None."""
        if not _is_for_a_frame(request):
            return FrameRefused(403, str(_NO_FRAME))
        return _refused(check(request, self._reading(kwargs)).refusal)

    async def ajudge(self, request: HttpRequest, kwargs: Mapping[str, Any]) -> HttpResponseBase | None:
        """Do what ``judge`` does. A refusal is written in a thread, which reads a template."""
        if _is_for_a_frame(request) and (await acheck(request, self._reading(kwargs))).refusal is None:
            return None
        return await sync_to_async(self.judge)(request, kwargs)

    def finish(self, request: HttpRequest, response: Any) -> None:
        """Have browsers show the response on the page that was judged alone, and store it nowhere."""
        set_headers(response, accesses(request))
        response.headers["Cache-Control"] = "private, no-store"
        response.headers.pop("X-Frame-Options", None)
        response.xframe_options_exempt = True
        set_policy = partial(_set_policy, request)
        if getattr(response, "is_rendered", True):
            set_policy(response)
        else:
            response.add_post_render_callback(set_policy)  # The policy has the nonce that the template uses.

    def _reading(self, kwargs: Mapping[str, Any]) -> FrameEnforcer:
        return FrameEnforcer.reading(kwargs, self._key_kwarg)


def _is_for_a_frame(request: HttpRequest) -> bool:
    """Return whether the request may be for a frame's document: no script and no prefetch gets a token."""
    meta = request.META
    is_frame = meta.get("HTTP_SEC_FETCH_DEST", "iframe") in _FRAMES
    return is_frame and not any("prefetch" in meta.get(name, "").lower() for name in _PURPOSES)


def _set_policy(request: HttpRequest, response: HttpResponseBase) -> None:
    pages = [
        each.embedding.page for each in accesses(request) if each.sender is FrameEnforcer and each.embedding
    ]
    set_ancestors(request, response, "*" if isinstance(response, FrameRefused) else str(pages[0]))


def _refused(refusal: Refusal | None) -> FrameRefused | None:
    if refusal is None:
        return None
    return FrameRefused(refusal.status, refusal.message, refusal.body["hint"])


def _page(message: str, hint: str) -> str:
    try:
        return render_to_string(TEMPLATE, {"message": message, "hint": hint})
    except Exception:
        logger.exception("%s can't be rendered.", TEMPLATE)
        return format_html("<!doctype html><title>{0}</title><p>{0} {1}</p>", message, hint)
