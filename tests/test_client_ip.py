"""The client's address: the peer's, or what a trusted proxy appended, and nothing a client sends."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipware
import pytest
from django.http import HttpRequest, HttpResponseBase
from django.test import RequestFactory

from allowlist.enforcement import client_ip
from tests.testing import ELSEWHERE, EVIL, SERVER, SHOP, call, is_done_within, make_key, reason

pytestmark = pytest.mark.django_db(databases="__all__")

ROOT = Path(__file__).parent.parent
VIEW = "/widget/alone/"
PROXY = "10.0.0.1"
PROXIES = ("10.0.0.0/8", "2001:db8:ffff::/48")
UNKNOWN = "unknown"


def address(remote: str | None, *, forwarded: str | None = None, **headers: str) -> str:
    """Return the address that a request of this peer has, as our own code works it out."""
    sent = dict(headers)
    if forwarded is not None:
        sent["X-Forwarded-For"] = forwarded
    request = RequestFactory().get("/", headers=sent)
    if remote is None:
        del request.META["REMOTE_ADDR"]
    else:
        request.META["REMOTE_ADDR"] = remote
    found = client_ip.client_address(request)
    return UNKNOWN if found is None else str(found)


SPOOFED = [
    "X-Forwarded-For",
    "X-Real-Ip",
    "X-Client-Ip",
    "X-Cluster-Client-Ip",
    "X-Forwarded",
    "Forwarded-For",
    "Forwarded",
    "Client-Ip",
    "Via",
    "True-Client-Ip",
    "Cf-Connecting-Ip",
    "Cf-Connecting-Ipv6",
    "Fastly-Client-Ip",
    "Fly-Client-Ip",
    "X-Appengine-User-Ip",
    "X-Azure-Clientip",
    "X-Envoy-External-Address",
    "X-Original-Forwarded-For",
    "Remote-Addr",
    "X-Remote-Addr",
    "X-Remote-Ip",
    "X-Proxyuser-Ip",
    "Wl-Proxy-Client-Ip",
    "X-Host",
    "REMOTE_ADDR",
]


@pytest.mark.parametrize("header", SPOOFED)
@pytest.mark.parametrize("value", [SERVER, f"for={SERVER}", f"{SERVER}, {SERVER}"])
def test_without_proxies_no_header_is_believed(header: str, value: str) -> None:
    _, token = make_key(ips=[SERVER])
    assert reason(call(VIEW, token, {header: value}, REMOTE_ADDR=ELSEWHERE)) == "ip_not_listed"
    assert reason(call(VIEW, token, {header: value}, REMOTE_ADDR="")) == "ip_unknown"
    assert call(VIEW, token, {header: ELSEWHERE}, REMOTE_ADDR=SERVER).status_code == 200


def test_every_proxy_s_append_is_read_from_the_right(settings: Any) -> None:
    settings.ALLOWLIST = {"TRUSTED_PROXIES": PROXIES}
    _, token = make_key(ips=[SERVER])
    for spoofed in (SERVER, f"{SERVER}, {SERVER}", f"{SERVER}, {PROXY}"):
        sent = {"X-Forwarded-For": f"{spoofed}, {ELSEWHERE}, 10.0.0.2"}
        assert reason(call(VIEW, token, sent, REMOTE_ADDR=PROXY)) == "ip_not_listed"
    honest = {"X-Forwarded-For": f"{ELSEWHERE}, {SERVER}, 10.0.0.2"}
    assert call(VIEW, token, honest, REMOTE_ADDR=PROXY).status_code == 200
    assert reason(call(VIEW, token, honest, REMOTE_ADDR=ELSEWHERE)) == "ip_not_listed"


WALKS = [
    pytest.param(SERVER, SERVER, id="one-hop"),
    pytest.param(f"{ELSEWHERE}, {SERVER}", SERVER, id="rightmost-untrusted"),
    pytest.param(f"{ELSEWHERE},{SERVER}", SERVER, id="no-space"),
    pytest.param(f"{SERVER}, 10.0.0.2", SERVER, id="a-trusted-hop-is-skipped"),
    pytest.param(f"{SERVER}, 10.0.0.2, 10.9.9.9", SERVER, id="two-trusted-hops"),
    pytest.param(f"{SERVER}, 2001:db8:ffff::7, 10.0.0.2", SERVER, id="trusted-hops-of-both-families"),
    pytest.param(f"10.0.0.5, {SERVER}, 10.0.0.2", SERVER, id="trusted-left-of-the-client"),
    pytest.param("10.0.0.2", "10.0.0.2", id="all-trusted"),
    pytest.param("10.0.0.4, 10.0.0.3, 10.0.0.2", "10.0.0.4", id="all-trusted-leftmost"),
    pytest.param("2001:db8::7", "2001:db8::7", id="ipv6"),
    pytest.param("2001:DB8:0:0::7", "2001:db8::7", id="ipv6-spelled-out"),
    pytest.param(f"{SERVER}:443", SERVER, id="port"),
    pytest.param(f"{SERVER}:65535", SERVER, id="highest-port"),
    pytest.param("[2001:db8::7]", "2001:db8::7", id="brackets"),
    pytest.param("[2001:db8::7]:443", "2001:db8::7", id="brackets-and-port"),
    pytest.param(f"{SERVER}, [2001:db8:ffff::1]:80, 10.0.0.2:8080", SERVER, id="trusted-hops-with-ports"),
    pytest.param(f"::ffff:{SERVER}", SERVER, id="mapped"),
    pytest.param("::ffff:cb00:7107", SERVER, id="mapped-in-hexadecimal"),
    pytest.param(f"[::ffff:{SERVER}]:443", SERVER, id="mapped-brackets-and-port"),
    pytest.param(f"{SERVER}, ::ffff:10.0.0.2", SERVER, id="mapped-trusted-hop"),
    pytest.param(f"garbage, {SERVER}", SERVER, id="garbage-behind-the-client"),
    pytest.param(f", {SERVER}", SERVER, id="empty-hop-behind-the-client"),
    pytest.param("", UNKNOWN, id="empty"),
    pytest.param(" \t", UNKNOWN, id="blank"),
    pytest.param(f"{SERVER}, , 10.0.0.2", UNKNOWN, id="empty-hop-between"),
    pytest.param(f"{SERVER}, garbage", UNKNOWN, id="garbage-at-our-end"),
    pytest.param(f"{SERVER}, garbage, 10.0.0.2", UNKNOWN, id="garbage-before-a-trusted-hop"),
    pytest.param("[fe80::1%eth0]:80", UNKNOWN, id="zone-in-brackets"),
    pytest.param("2001:db8:ffff::1%10.0.0.0", UNKNOWN, id="zone-on-a-trusted-hop"),
    pytest.param(f"{SERVER}:", UNKNOWN, id="port-missing"),
    pytest.param(f"{SERVER}:x", UNKNOWN, id="port-no-number"),
    pytest.param(f"{SERVER}:65536", UNKNOWN, id="port-too-high"),
    pytest.param("[2001:db8::7]:65536", UNKNOWN, id="brackets-and-port-too-high"),
    pytest.param(f"{SERVER}:0", UNKNOWN, id="port-0"),
    pytest.param(f"{SERVER}:1", SERVER, id="lowest-port"),
    pytest.param(f"{SERVER}:80:80", UNKNOWN, id="two-ports"),
    pytest.param(f"[{SERVER}", UNKNOWN, id="bracket-open"),
    pytest.param("[]:80", UNKNOWN, id="brackets-empty"),
    pytest.param(f"{SERVER}," * 5_000 + "10.0.0.2", SERVER, id="70-kB-of-clients"),
    pytest.param(f"{SERVER}," + "10.0.0.2," * 99 + "10.0.0.2", SERVER, id="100-trusted-hops"),
    pytest.param(f"{SERVER}," + "10.0.0.2," * 100 + "10.0.0.2", UNKNOWN, id="more-than-anybody-has"),
]


@pytest.mark.parametrize(("forwarded", "expected"), WALKS)
def test_the_walk_ends_at_the_first_hop_that_is_not_trusted(
    settings: Any, forwarded: str, expected: str
) -> None:
    settings.ALLOWLIST = {"TRUSTED_PROXIES": PROXIES}
    assert address(PROXY, forwarded=forwarded) == expected
    assert is_done_within(0.02, lambda: address(PROXY, forwarded=forwarded))
    assert address(ELSEWHERE, forwarded=forwarded) == ELSEWHERE


PEERS = [
    pytest.param(SERVER, SERVER, id="ipv4"),
    pytest.param("2001:db8::7", "2001:db8::7", id="ipv6"),
    pytest.param(f"::ffff:{SERVER}", SERVER, id="mapped"),
    pytest.param("::1", "::1", id="loopback"),
    pytest.param(f"{SERVER}:5000", SERVER, id="port"),
    pytest.param("[2001:db8::7]:5000", "2001:db8::7", id="brackets-and-port"),
    pytest.param(f"[::ffff:{SERVER}]:5000", SERVER, id="mapped-brackets-and-port"),
    pytest.param("fe80::1%eth0", "fe80::1", id="zone"),
    pytest.param(f" {SERVER} ", SERVER, id="blanks"),
    pytest.param("0.0.0.0", "0.0.0.0", id="unspecified"),
    pytest.param("", UNKNOWN, id="empty"),
    pytest.param(None, UNKNOWN, id="missing"),
    pytest.param("localhost", UNKNOWN, id="name"),
    pytest.param("unix:", UNKNOWN, id="unix"),
    pytest.param("/run/web.sock", UNKNOWN, id="path"),
    pytest.param("garbage", UNKNOWN, id="garbage"),
    pytest.param(f"{ELSEWHERE}, {SERVER}", UNKNOWN, id="list"),
    pytest.param(f"garbage, {SERVER}", UNKNOWN, id="list-with-garbage"),
    pytest.param("203.0.113.07", UNKNOWN, id="leading-zero"),
    pytest.param("\x00", UNKNOWN, id="nul"),
]


@pytest.mark.parametrize(("remote", "expected"), PEERS)
def test_without_proxies_the_peer_is_the_client(remote: str | None, expected: str) -> None:
    assert address(remote) == expected
    assert address(remote, forwarded=ELSEWHERE) == expected


@pytest.mark.parametrize(("remote", "expected"), PEERS)
def test_a_peer_outside_the_trusted_networks_is_the_client(
    settings: Any, remote: str | None, expected: str
) -> None:
    settings.ALLOWLIST = {"TRUSTED_PROXIES": PROXIES}
    assert address(remote, forwarded=ELSEWHERE) == expected


@pytest.mark.parametrize(
    "remote",
    [
        "10.0.0.1",
        "10.255.255.255",
        "::ffff:10.0.0.1",
        "10.0.0.1:4711",
        "2001:db8:ffff::9",
        "[2001:db8:ffff::9]:1",
    ],
)
def test_a_peer_inside_the_trusted_networks_names_the_client(settings: Any, remote: str) -> None:
    settings.ALLOWLIST = {"TRUSTED_PROXIES": PROXIES}
    assert address(remote, forwarded=SERVER) == SERVER


def test_a_single_address_and_a_list_are_networks_too(settings: Any) -> None:
    settings.ALLOWLIST = {"TRUSTED_PROXIES": [PROXY]}
    assert address(PROXY, forwarded=SERVER) == SERVER
    assert address("10.0.0.2", forwarded=SERVER) == "10.0.0.2"


@pytest.mark.parametrize("mapped", ["::ffff:10.0.0.0/104", "::ffff:10.0.0.1", "::ffff:10.0.0.1/128"])
def test_a_mapped_network_trusts_its_ipv4_addresses(settings: Any, mapped: str) -> None:
    settings.ALLOWLIST = {"TRUSTED_PROXIES": [mapped]}
    assert address(PROXY, forwarded=SERVER) == SERVER
    assert address("11.0.0.1", forwarded=SERVER) == "11.0.0.1"


def test_a_trusted_peer_without_the_header_is_the_client(settings: Any) -> None:
    settings.ALLOWLIST = {"TRUSTED_PROXIES": PROXIES}
    assert address(PROXY) == PROXY
    assert address(PROXY, **{"X-Real-Ip": SERVER, "Forwarded": f"for={SERVER}"}) == PROXY


SOCKETS = ["", None, "localhost", "unix:", "unix:/run/web.sock", "/run/web.sock", "0.0.0.0", "@", "\x00"]


@pytest.mark.parametrize("remote", SOCKETS)
def test_a_unix_socket_is_trusted_where_the_settings_say_so(settings: Any, remote: str | None) -> None:
    settings.ALLOWLIST = {"TRUSTED_PROXIES": ("unix",)}
    assert address(remote, forwarded=SERVER) == SERVER
    assert address(remote, forwarded=f"{SERVER}, {ELSEWHERE}") == ELSEWHERE
    assert address(remote, forwarded="garbage") == UNKNOWN
    assert address(remote, forwarded="") == UNKNOWN
    assert address(remote) == UNKNOWN
    assert address(remote, **{"X-Real-Ip": SERVER}) == UNKNOWN


@pytest.mark.parametrize("remote", SOCKETS)
def test_a_unix_socket_is_not_trusted_otherwise(settings: Any, remote: str | None) -> None:
    settings.ALLOWLIST = {"TRUSTED_PROXIES": PROXIES}
    assert address(remote, forwarded=SERVER) in (UNKNOWN, "0.0.0.0")


def test_trusting_sockets_trusts_no_address(settings: Any) -> None:
    settings.ALLOWLIST = {"TRUSTED_PROXIES": ("unix",)}
    for remote in (ELSEWHERE, "127.0.0.1", "::1", "10.0.0.1", f"{ELSEWHERE}:80"):
        assert address(remote, forwarded=SERVER) == remote.removesuffix(":80")
    settings.ALLOWLIST = {"TRUSTED_PROXIES": ("unix", "10.0.0.0/8")}
    assert address("", forwarded=f"{SERVER}, 10.0.0.2") == SERVER
    assert address(PROXY, forwarded=SERVER) == SERVER


def test_a_socket_s_requests_are_judged_over_http(settings: Any) -> None:
    settings.ALLOWLIST = {"TRUSTED_PROXIES": ("unix",)}
    _, token = make_key(ips=[SERVER])
    assert call(VIEW, token, {"X-Forwarded-For": SERVER}, REMOTE_ADDR="").status_code == 200
    assert reason(call(VIEW, token, {"X-Forwarded-For": ELSEWHERE}, REMOTE_ADDR="")) == "ip_not_listed"
    assert reason(call(VIEW, token, REMOTE_ADDR="")) == "ip_unknown"


def test_the_header_is_a_setting_and_the_only_one_read(settings: Any) -> None:
    settings.ALLOWLIST = {"TRUSTED_PROXIES": PROXIES, "CLIENT_IP_HEADER": "CF-Connecting-IP"}
    assert address(PROXY, **{"CF-Connecting-IP": SERVER}) == SERVER
    assert address(PROXY, forwarded=SERVER) == PROXY
    assert address(PROXY, forwarded=ELSEWHERE, **{"CF-Connecting-IP": SERVER}) == SERVER
    assert address(ELSEWHERE, **{"CF-Connecting-IP": SERVER}) == ELSEWHERE


@pytest.mark.parametrize("remote", [each.values[0] for each in PEERS])
def test_the_project_s_ipware_settings_change_nothing(settings: Any, remote: str | None) -> None:
    plain = address(remote, forwarded=ELSEWHERE)
    settings.IPWARE_META_PRECEDENCE_ORDER = ("HTTP_X_FORWARDED_FOR", "REMOTE_ADDR")
    settings.IPWARE_META_PROXY_COUNT = 1
    settings.IPWARE_STRICT = False
    for algorithm in ("legacy", "modern", "no such algorithm"):
        settings.IPWARE_ALGORITHM = algorithm
        assert address(remote, forwarded=ELSEWHERE) == plain


def test_ipware_reads_what_is_not_a_plain_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken_out(*args: Any, **kwargs: Any) -> tuple[None, bool]:
        return None, False

    assert vars(client_ip)["get_client_ip"] is ipware.get_client_ip
    monkeypatch.setattr(client_ip, "get_client_ip", taken_out)
    assert [address(remote) for remote in (f"{SERVER}:5000", "[2001:db8::7]:80", "fe80::1%eth0")] == [
        UNKNOWN
    ] * 3
    assert address(SERVER) == SERVER


def test_ipware_is_needed() -> None:
    code = "import sys; sys.modules['ipware'] = None; import allowlist.enforcement.client_ip"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "import of ipware halted" in run.stderr


class Recorded(dict[str, Any]):
    """A request's META that notes what is read of it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.read: list[str] = []

    def __getitem__(self, name: str) -> Any:
        self.read.append(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.read.append(name)
        return super().get(name, default)


METAS: list[Recorded] = []


def recording(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Note what is read of META, as a middleware."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        request.META = Recorded(request.META)
        METAS.append(request.META)
        return get_response(request)

    return middleware


NEVER, ONCE = 0, 1


@pytest.mark.parametrize(
    ("key", "origin", "times"),
    [
        ({}, SHOP, NEVER),
        ({"allowed_domains": [SHOP]}, SHOP, NEVER),
        ({"allowed_domains": [SHOP]}, EVIL, NEVER),
        ({"allowed_domains": [SHOP], "allowed_ips": [SERVER]}, EVIL, NEVER),
        ({"allowed_domains": [SHOP], "allowed_ips": [SERVER]}, SHOP, ONCE),
        ({"allowed_domains": [SHOP], "allowed_ips": [SERVER], "condition": "any"}, SHOP, NEVER),
        ({"allowed_domains": [SHOP], "allowed_ips": [SERVER], "condition": "any"}, EVIL, ONCE),
        ({"allowed_domains": [SHOP], "allowed_ips": [SERVER], "condition": "by_source"}, SHOP, NEVER),
        ({"allowed_ips": [SERVER]}, SHOP, ONCE),
    ],
)
def test_the_address_is_worked_out_only_when_a_rule_needs_it(
    settings: Any, key: dict[str, Any], origin: str, times: int
) -> None:
    settings.ALLOWLIST = {"TRUSTED_PROXIES": PROXIES}
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.recording"]
    _, token = make_key(**key)
    METAS.clear()
    call(VIEW, token, {"Origin": origin, "X-Forwarded-For": SERVER}, REMOTE_ADDR=PROXY)
    (meta,) = METAS
    assert meta.read.count("REMOTE_ADDR") == times
    assert meta.read.count("HTTP_X_FORWARDED_FOR") == times
    assert "HTTP_ORIGIN" in meta.read
    assert (meta["REMOTE_ADDR"], meta.read[-1]) == (PROXY, "REMOTE_ADDR")


def test_an_invalid_key_s_address_is_not_worked_out(settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.recording"]
    METAS.clear()
    assert call(VIEW, "nonsense").status_code == 401
    assert "REMOTE_ADDR" not in METAS[0].read
