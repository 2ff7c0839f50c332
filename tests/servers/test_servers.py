"""The response is the same with every server, over TCP, over a socket, and behind nginx."""

import re

import pytest

from tests.demo_server import ROOT, free_port
from tests.servers.conftest import Served
from tests.servers.running import REWRITING, SERVERS, Endpoint, Site, running
from tests.servers.table import (
    IP,
    MISSING,
    NGINX,
    NOT_LISTED,
    OK,
    ROWS,
    UNKNOWN,
    XFF,
)
from tests.servers.wire import Answer, ask, raw, send
from tests.testing import ELSEWHERE, SERVER, SHOP

pytestmark = pytest.mark.slow

STRANGER = "127.0.0.9"
"""Another address of this machine, which no TRUSTED_PROXIES has."""
PAGE = (ROOT / "docs/how-to/deployment.md").read_text()


def test_the_answer_is_the_same_everywhere(served: Served) -> None:
    assert answers(served, served.endpoint) == {row.name: row.expected(served.family) for row in ROWS}


@pytest.mark.needs("nginx")
def test_the_answer_is_the_same_behind_nginx(served: Served, front: Endpoint) -> None:
    assert answers(served, front) == {row.name: row.expected(NGINX, served.family) for row in ROWS}


def answers(served: Served, endpoint: Endpoint) -> dict[str, str]:
    """Return the response to each row of the table, by name."""
    tokens = served.site.tokens
    return {row.name: ask(endpoint, row.request(tokens.get(row.key, ""))).said for row in ROWS}


def by_server(token: str, *lines: str) -> bytes:
    """Return a request with a server's key."""
    return raw(f"X-API-Key: {token}", *lines)


SPOOFS = [
    (f"{XFF}: {SERVER}",),
    (f"{XFF}: {SERVER}", f"{XFF}: {SERVER}"),
    (f"{XFF}: {SERVER}, 127.0.0.1",),
    (f"{XFF.lower()}: {SERVER}",),
    (f"X_Forwarded_For: {SERVER}",),
    (f"X-Forwarded_For: {SERVER}", f"X_FORWARDED-FOR: {SERVER}"),
    (f"X-Real-IP: {SERVER}", f"X-Client-IP: {SERVER}", f"CF-Connecting-IP: {SERVER}"),
    (f"Forwarded: for={SERVER}",),
    (f"REMOTE_ADDR: {SERVER}", f"Remote-Addr: {SERVER}", f"HTTP_REMOTE_ADDR: {SERVER}"),
]


def said_to_spoofs(served: Served, endpoint: Endpoint) -> set[str]:
    """Return the responses to a stranger who claims the listed IP address in every way."""
    token = served.site.tokens["server"]
    return {ask(endpoint, by_server(token, *lines), STRANGER).said for lines in SPOOFS}


@pytest.mark.needs("nginx")
def test_a_client_of_the_trusted_proxy_cannot_claim_an_address(served: Served, front: Endpoint) -> None:
    assert said_to_spoofs(served, front) == {IP}
    seen = [ask(front, raw(*lines, target="/seen/"), STRANGER).body["client"] for lines in SPOOFS]
    assert set(seen) == {STRANGER}


def test_a_peer_that_is_not_a_proxy_is_the_client_unless_on_a_socket(served: Served) -> None:
    """If sockets are trusted, every process that may open the socket is trusted."""
    assert (said_to_spoofs(served, served.endpoint) == {IP}) is not served.endpoint.is_socket


def test_without_trusted_proxies_no_claim_helps(trusting_nobody: Served) -> None:
    at = trusting_nobody.endpoint
    assert said_to_spoofs(trusting_nobody, at) == {UNKNOWN if at.is_socket else IP}


@pytest.mark.needs("nginx")
def test_without_trusted_proxies_no_claim_helps_through_nginx(
    trusting_nobody: Served, front_of_trusting_nobody: Endpoint
) -> None:
    said = said_to_spoofs(trusting_nobody, front_of_trusting_nobody)
    assert said == {UNKNOWN if trusting_nobody.endpoint.is_socket else IP}


TOLD = {"the peer's address": "127.0.0.1", '`""`': "", "missing": None}
"""What the page's table says about REMOTE_ADDR."""


def test_the_page_says_what_each_server_reports(trusting_nobody: Served) -> None:
    cells = re.search(rf"^\| {trusting_nobody.family} \|(.*)\|(.*)\|$", PAGE, re.MULTILINE)
    assert cells
    at = trusting_nobody.endpoint
    seen = ask(at, raw(f"{XFF}: {SERVER}", target="/seen/")).body
    assert seen["remote"] == TOLD[cells[2 if at.is_socket else 1].strip()]
    assert seen["client"] == (None if at.is_socket else "127.0.0.1")


def test_without_a_header_the_peer_is_the_client_and_unknown_on_a_socket(served: Served) -> None:
    request = by_server(served.site.tokens["local"])
    assert ask(served.endpoint, request).said == (UNKNOWN if served.endpoint.is_socket else OK)


@pytest.mark.needs("nginx")
def test_nginx_reports_the_client_s_address(served: Served, front: Endpoint) -> None:
    request = by_server(served.site.tokens["local"])
    assert ask(front, request).said == OK
    assert ask(front, request, STRANGER).said == IP


CHAIN = f"{XFF}: {SERVER}, {ELSEWHERE}"


@pytest.mark.parametrize(
    ("name", "by_local", "by_stranger"),
    [
        ("gunicorn-all", "127.0.0.1", STRANGER),
        ("uvicorn-default", ELSEWHERE, STRANGER),
        ("uvicorn-all", SERVER, SERVER),
        ("daphne-proxy-headers", SERVER, SERVER),
    ],
)
def test_servers_that_read_the_header_do_as_the_page_says(
    site: Site, name: str, by_local: str, by_stranger: str
) -> None:
    server, endpoint = REWRITING[name], Endpoint(free_port())
    request = raw(CHAIN, target="/seen/")
    with running(server, endpoint, site, ()):
        seen = [ask(endpoint, request, source).body["remote"] for source in ("127.0.0.1", STRANGER)]
    assert seen == [by_local, by_stranger]


def conversation(served: Served) -> list[tuple[bytes, str]]:
    """Return requests with their responses, each unlike the one before."""
    tokens = served.site.tokens
    page, server = f"X-API-Key: {tokens['page']}", f"X-API-Key: {tokens['server']}"
    # A refused view does not read the body; it must not be taken for the next request.
    smuggled = raw(page, f"Origin: {SHOP}")
    body = f"Content-Length: {len(smuggled)}"
    return [
        (raw(page, f"Origin: {SHOP}"), OK),
        (raw(page, "Origin: https://evil.example.net"), NOT_LISTED),
        (raw(server, f"{XFF}: {SERVER}"), OK),
        (raw(server, f"{XFF}: {ELSEWHERE}"), IP),
        (raw(page), "403 origin_missing"),
        (raw(f"Origin: {SHOP}"), MISSING),
        (raw(f"Origin: {SHOP}", body, method="POST", body=smuggled), MISSING),
        (raw(server, f"{XFF}: {ELSEWHERE}", body, method="POST", body=smuggled), IP),
        (raw(server, f"{XFF}: {SERVER}"), OK),
    ]


def converse(endpoint: Endpoint, requests: list[tuple[bytes, str]]) -> tuple[list[Answer], int]:
    """Send requests in turn on one connection, or a new one after the server closes it; count connections."""
    answers: list[Answer] = []
    connection, opened = endpoint.connect(), 1
    for request, _said in requests:
        if answers and answers[-1].closes:
            connection.close()
            connection, opened = endpoint.connect(), opened + 1
        answers.append(send(connection, request))
    connection.close()
    return answers, opened


CLOSING = {"gunicorn"}
"""gunicorn's sync workers close each connection."""


def test_each_request_on_a_connection_is_decided_by_itself(served: Served) -> None:
    requests = conversation(served) * 2
    answers, opened = converse(served.endpoint, requests)
    assert [answer.said for answer in answers] == [said for _request, said in requests]
    assert opened == (len(requests) if served.server in CLOSING else 1)


@pytest.mark.needs("nginx")
def test_each_request_on_nginx_s_connection_is_decided_by_itself(served: Served, front: Endpoint) -> None:
    requests = conversation(served) * 2
    answers, _opened = converse(front, requests)
    assert [answer.said for answer in answers] == [said for _request, said in requests]


def test_django_rest_framework_s_views_work_on_every_server(served: Served) -> None:
    """Under ASGI, Django raises SynchronousOnlyOperation for a query in the event loop."""
    token = served.site.tokens["page"]
    key, origin = f"X-API-Key: {token}", f"Origin: {SHOP}"
    asked = {
        "/widget/open/": 200,
        "/widget/alone/": 200,
        "/widget/paired/": 200,
        "/widget/both/": 403,
        "/widget/either/": 200,
        f"/widget/in-path/{token}/": 200,
        "/throttled/": 200,
        "/api/keys/": 403,
        "/admin/login/": 200,
    }
    got = {path: ask(served.endpoint, raw(key, origin, target=path)).status for path in asked}
    assert got == asked
    log = served.log.read_text()
    assert "SynchronousOnlyOperation" not in log
    assert "Traceback" not in log


def test_a_preflight_works_on_every_server(served: Served) -> None:
    lines = (
        f"Origin: {SHOP}",
        "Access-Control-Request-Method: GET",
        "Access-Control-Request-Headers: x-api-key",
    )
    answer = ask(served.endpoint, raw(*lines, method="OPTIONS"))
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == SHOP
    assert "x-api-key" in answer.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize("name", SERVERS)
def test_the_page_starts_each_server_as_the_tests_do(name: str) -> None:
    flags = {each for each in SERVERS[name].command if each.startswith("--")} - {"--skip-checks"}
    section = PAGE.split(f"\n## {name.partition('-')[0]}\n")[1].partition("\n## ")[0]
    assert [flag for flag in flags if flag not in section] == []
