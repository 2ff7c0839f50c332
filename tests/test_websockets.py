"""WebSockets: the handshake is judged as a request is, before the application runs."""

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.generic.websocket import WebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.testing import WebsocketCommunicator
from django.urls import path

from allowlist.asgi import Message, Receive, Send
from allowlist.contrib.channels import Allowlisted
from allowlist.models import APIKey, BlockedSource
from allowlist.permissions import IsAllowlisted, IsAllowlistedQuietly
from allowlist.signals import request_refused
from tests.testing import ELSEWHERE, EVIL, SERVER, SHOP, make_key
from tests.websockets import echo, open_socket

pytestmark = pytest.mark.django_db(databases="__all__")


class Consumer(WebsocketConsumer):  # type: ignore[misc]
    """Says the same, with Channels."""

    def connect(self) -> None:
        """Accept, and say it."""
        access = self.scope["allowlist"]
        self.accept()
        self.send(f"{access.key.name}, {access.decision.reason}")


class ByName(IsAllowlisted):
    """The project's header names the key."""

    def get_key(self, request: Any, view: Any) -> Any:
        """Return the key of that name."""
        assert view is None
        return APIKey.objects.get(name=request.headers["X-Project"])


class BySession(IsAllowlisted):
    """The session names the key."""

    uses_cookies = True


async def never(scope: Message, receive: Receive, send: Send) -> None:
    """Fail: the application behind a refused handshake must not run."""
    raise AssertionError("The application ran.")


WIDGET = "widget, None"
IN_PATH: Any = Allowlisted(Consumer.as_asgi(), key_kwarg="public_id")
ROUTER = URLRouter([path("chat/<str:public_id>/", IN_PATH)])


@pytest.fixture
def token() -> str:
    """Return the token of a key that lists the shop and the server."""
    return make_key(domains=[SHOP], ips=[SERVER])[1]


def test_the_key_may_be_in_the_query_or_a_header(token: str) -> None:
    origin = ("Origin", SHOP)
    for app, url, *headers in (
        (Allowlisted(echo), f"/?key={token}", origin),
        (Allowlisted(echo), "/", origin, ("X-API-Key", token)),
        (Allowlisted(echo), "/", origin, ("Authorization", f"Bearer {token}")),
    ):
        assert open_socket(app, url, *headers) == (WIDGET, None)


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_with_channels_the_path_may_hold_the_key() -> None:
    _key, token = make_key(domains=[SHOP])
    app = ProtocolTypeRouter({"websocket": ROUTER})
    assert open_socket(app, f"/chat/{token}/", ("Origin", SHOP)) == (WIDGET, None)
    assert open_socket(app, f"/chat/{token}/", ("Origin", EVIL)) == (1000, None)


ORIGIN = ("Origin", SHOP)
REFUSED: dict[str, tuple[list[tuple[str, str]], str, str]] = {
    "another page": ([("Origin", EVIL)], SERVER, "origin_not_listed"),
    "null": ([("Origin", "null")], SERVER, "origin_opaque"),
    "no Origin": ([], SERVER, "origin_missing"),
    "two Origins": ([ORIGIN, ORIGIN], SERVER, "origin_malformed"),
    "two Origins, joined": ([("Origin", f"{SHOP}, {EVIL}")], SERVER, "origin_malformed"),
    "another address": ([ORIGIN], ELSEWHERE, "ip_not_listed"),
    "no address": ([ORIGIN], "", "ip_unknown"),
    "a forged address": ([ORIGIN, ("X-Forwarded-For", SERVER)], ELSEWHERE, "ip_not_listed"),
    "two keys": ([ORIGIN, ("X-API-Key", "a"), ("X-API-Key", "b")], SERVER, "key_invalid"),
}


@pytest.mark.parametrize(("headers", "ip", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_refused_handshake_is_closed_before_the_application_runs(
    token: str, headers: list[tuple[str, str]], ip: str, reason: str
) -> None:
    url = f"/?key={token}"
    assert open_socket(Allowlisted(never), url, *headers, ip=ip) == (1000, None)
    readable = Allowlisted(never, readable=True)
    assert open_socket(readable, url, *headers, ip=ip) == ((4403, reason), None)


def test_behind_a_trusted_proxy_the_client_s_address_counts(token: str, settings: Any) -> None:
    settings.ALLOWLIST = {"TRUSTED_PROXIES": ("10.0.0.0/8",)}
    for client, is_served in ((SERVER, True), (ELSEWHERE, False)):
        headers = (("Origin", SHOP), ("X-Forwarded-For", client))
        said, _protocol = open_socket(Allowlisted(echo), f"/?key={token}", *headers, ip="10.0.0.1")
        assert (said == WIDGET) is is_served


def test_a_subprotocol_is_chosen_if_one_is_offered(token: str) -> None:
    """Chromium would fail otherwise."""
    readable, url = Allowlisted(echo, readable=True), f"/?key={token}"
    assert open_socket(readable, url, ("Origin", SHOP), protocols=("chat", "x")) == (WIDGET, "chat")
    refused = open_socket(readable, url, ("Origin", EVIL), protocols=("chat", "x"))
    assert refused == ((4403, "origin_not_listed"), "chat")


def test_a_refusal_is_reported_and_recorded_and_a_report_only_key_serves() -> None:
    _key, token = make_key(domains=[SHOP], enforcement="report")
    seen: list[Any] = []

    def receive(sender: Any, request: Any, **kwargs: Any) -> None:
        seen.append((sender, request.path, APIKey.objects.count()))

    request_refused.connect(receive)
    try:
        said, _protocol = open_socket(Allowlisted(echo), f"/chat/?key={token}", ("Origin", EVIL))
    finally:
        request_refused.disconnect(receive)
    assert said == "widget, origin_not_listed"
    assert seen == [(IsAllowlisted, "/chat/", 1)]
    assert list(BlockedSource.objects.values_list("origin", "reported")) == [(EVIL, 1)]


def test_a_project_s_own_credential_names_the_key() -> None:
    make_key(name="widget", domains=[SHOP])
    app = Allowlisted(echo, permission=ByName, readable=True)
    assert open_socket(app, "/", ("Origin", SHOP), ("X-Project", "widget")) == (WIDGET, None)
    failed = open_socket(app, "/", ("Origin", SHOP), ("X-Project", "nobody's"))
    assert failed == ((4403, "undecided"), None)


@pytest.mark.parametrize("query", [b"\xff=\xff&key=\x00", b"&".join([b"a=1"] * 1100)], ids=["bytes", "long"])
def test_a_strange_query_is_refused(query: bytes) -> None:
    @async_to_sync
    async def send() -> Any:
        socket = WebsocketCommunicator(Allowlisted(never, readable=True), "/")
        socket.scope["query_string"] = query
        await socket.connect()
        return await socket.receive_output()

    assert send()["code"] == 4403


@async_to_sync
async def run(app: Any, scope: Message, *events: Message) -> list[Message]:
    """Return what ``app`` sends."""
    left, sent = list(events), list[Message]()

    async def receive() -> Message:
        return left.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def test_lifespan_passes_and_any_other_scope_raises() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": f"{scope['type']}.seen"})

    assert run(Allowlisted(app), {"type": "lifespan"}) == [{"type": "lifespan.seen"}]
    with pytest.raises(ValueError, match='under "websocket" in ProtocolTypeRouter'):
        run(Allowlisted(app), {"type": "http"})


def test_a_client_that_left_before_is_sent_nothing() -> None:
    scope = {"type": "websocket", "path": "/", "headers": []}
    assert run(Allowlisted(never), scope, {"type": "websocket.disconnect"}) == []


def test_wrong_use_fails_at_import() -> None:
    quietly: Any = IsAllowlistedQuietly
    for options, sentence in (
        ({"permission": quietly}, "must be IsAllowlisted or a subclass"),
        ({"key_kwarg": "<key>"}, "the name of a URL kwarg"),
        ({"permission": BySession}, "Find the key by a token instead"),
    ):
        with pytest.raises(TypeError, match=sentence):
            Allowlisted(never, **options)
