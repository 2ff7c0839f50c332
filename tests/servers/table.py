"""The table of requests, with the response to each, whichever server serves the site."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.servers.wire import GUARDED, REFUSED, raw
from tests.testing import ELSEWHERE, EVIL, SERVER, SHOP


@dataclass(frozen=True)
class Row:
    """A request with a key, and its response. ``otherwise`` names the servers that differ."""

    name: str
    key: str
    lines: tuple[bytes | str, ...]
    said: str
    target: str = GUARDED
    version: str = "1.1"
    otherwise: Mapping[str, str] = field(default_factory=dict)

    def expected(self, *servers: str) -> str:
        """Return the response if the request passes ``servers``, the outermost first."""
        return next((self.otherwise[each] for each in servers if each in self.otherwise), self.said)

    def request(self, token: str) -> bytes:
        """Return the request's bytes. The token is in ``X-API-Key`` unless a line contains it."""
        lines = [each.replace("<token>", token) if isinstance(each, str) else each for each in self.lines]
        if self.key and not any("<token>" in str(each) for each in self.lines):
            lines.insert(0, f"X-API-Key: {token}")
        return raw(*lines, target=self.target.replace("<token>", token), version=self.version)


OK = "200"
MALFORMED = "403 origin_malformed"
NOT_LISTED = "403 origin_not_listed"
IP = "403 ip_not_listed"
UNKNOWN = "403 ip_unknown"
INVALID = "401 key_invalid"
MISSING = "401 key_missing"
LONG = "x" * 70_000


def _refusing(*servers: str) -> dict[str, str]:
    return dict.fromkeys(servers, REFUSED)


GUNICORN, UVICORN, DAPHNE, RUNSERVER, NGINX = "gunicorn", "uvicorn", "daphne", "runserver", "nginx"
FOLDED = _refusing(GUNICORN, NGINX)
ODD = _refusing(GUNICORN, UVICORN, DAPHNE, NGINX)
ABSOLUTE = {NGINX: OK, **dict.fromkeys((UVICORN, DAPHNE, RUNSERVER), "404")}
"""These three take an absolute target for an unknown path; nginx turns it into a path for them."""
LARGE = _refusing(GUNICORN, DAPHNE, NGINX)
HUGE = _refusing(GUNICORN, DAPHNE, RUNSERVER, NGINX)


def _page(name: str, said: str, *lines: bytes | str, **more: Any) -> Row:
    return Row(name, "page", lines, said, **more)


def _server(name: str, said: str, *lines: bytes | str, **more: Any) -> Row:
    return Row(name, "server", lines, said, **more)


def _by(name: str, address: str) -> str:
    return f"{name}: {address}"


XFF = "X-Forwarded-For"
ROWS = [
    # The origin.
    _page("origin", OK, f"Origin: {SHOP}"),
    _page("origin-unlisted", NOT_LISTED, f"Origin: {EVIL}"),
    _page("origin-lower-case-name", OK, f"origin: {SHOP}"),
    _page("origin-upper-case-name", OK, f"ORIGIN: {SHOP}"),
    _page("origin-no-blank", OK, f"Origin:{SHOP}"),
    _page("origin-blanks-around", OK, f"Origin: \t {SHOP} \t "),
    _page("origin-twice-listed-first", MALFORMED, f"Origin: {SHOP}", f"Origin: {EVIL}"),
    _page("origin-twice-listed-last", MALFORMED, f"Origin: {EVIL}", f"Origin: {SHOP}"),
    _page("origin-twice-the-same", MALFORMED, f"Origin: {SHOP}", f"Origin: {SHOP}"),
    _page("origin-twice-in-two-cases", MALFORMED, f"Origin: {EVIL}", f"oRIGIN: {SHOP}"),
    _page("origin-comma", MALFORMED, f"Origin: {SHOP}, {SHOP}"),
    _page("origin-empty", MALFORMED, "Origin: ", f"Referer: {SHOP}/"),
    _page("origin-null", "403 origin_opaque", "Origin: null", f"Referer: {SHOP}/"),
    _page("origin-high-byte", MALFORMED, b"Origin: https://shop.example.com\xff"),
    _page("origin-utf-8", MALFORMED, "Origin: https://shöp.example.com".encode()),
    _page("origin-underscore-name", "403 origin_missing", f"_Origin: {SHOP}", f"Origin_: {SHOP}"),
    _page("origin-folded", MALFORMED, f"Origin: {SHOP}", " .evil.example", otherwise=FOLDED),
    _page("origin-folded-away", MALFORMED, "Origin: https:", f"\t//{SHOP[8:]}", otherwise=FOLDED),
    _page("origin-blank-before-colon", "403 origin_missing", f"Origin : {SHOP}", otherwise=ODD),
    _page("origin-nul", MALFORMED, f"Origin: {SHOP}\0", otherwise=ODD),
    # To runserver a lone CR ends a line, to most servers a lone LF does.
    _page("origin-bare-cr", OK, f"Origin: {SHOP}\rX: y", otherwise=ODD),
    _page(
        "origin-bare-lf", OK, f"X: y\nOrigin: {SHOP}", otherwise={**_refusing(GUNICORN, DAPHNE), NGINX: OK}
    ),
    _page("origin-60-kB", MALFORMED, f"Origin: {SHOP}{LONG[:60_000]}", otherwise=LARGE),
    _page("referer", OK, f"Referer: {SHOP}/a?b"),
    _page("referer-unlisted", NOT_LISTED, f"Referer: {EVIL}/{SHOP}"),
    _page("referer-70-kB", MALFORMED, f"Referer: {SHOP}{LONG}", otherwise=HUGE),
    _page("referer-twice", MALFORMED, f"Referer: {SHOP}", f"Referer: {EVIL}"),
    _page("hidden", "403 origin_hidden", "Sec-Fetch-Site: cross-site"),
    _page("nothing", "403 origin_missing"),
    _page("http-1.0", OK, f"Origin: {SHOP}", version="1.0"),
    _page("absolute-form", OK, f"Origin: {SHOP}", target=f"http://site{GUARDED}", otherwise=ABSOLUTE),
    # The key.
    _page("key-lower-case-name", OK, "x-api-key: <token>", f"Origin: {SHOP}"),
    _page("key-underscore-name", MISSING, "X_API_Key: <token>", f"Origin: {SHOP}"),
    _page("key-twice", INVALID, "X-API-Key: <token>", "X-API-Key: <token>", f"Origin: {SHOP}"),
    _page("key-twice-one-wrong", INVALID, "X-API-Key: <token>", "X-API-Key: x", f"Origin: {SHOP}"),
    _page("key-twice-one-underscored", OK, "X-API-Key: <token>", "X_API_Key: x", f"Origin: {SHOP}"),
    _page("key-high-byte", INVALID, b"X-API-Key: pk_live_\xff\xfe"),
    Row("key-70-kB", "", (f"X-API-Key: {LONG}",), INVALID, otherwise=HUGE),
    Row("key-nul", "", ("X-API-Key: pk_live_\0",), INVALID, otherwise=ODD),
    _page("key-bearer", OK, "Authorization: bearer <token>", f"Origin: {SHOP}"),
    _page(
        "key-bearer-twice",
        MISSING,
        "Authorization: bearer <token>",
        "Authorization: bearer <token>",
        f"Origin: {SHOP}",
        otherwise=_refusing(NGINX),
    ),
    _page("key-in-query", OK, "X: <token>", f"Origin: {SHOP}", target=f"{GUARDED}?key=<token>"),
    _server("secret-key-in-query", "403 key_in_url", "X: <token>", target=f"{GUARDED}?key=<token>"),
    _server("secret-key-in-browser", "403 secret_key_in_browser", f"Origin: {SHOP}"),
    Row("key-none", "", (), MISSING),
    # The IP address, as a trusted proxy reports it.
    _server("address", OK, _by(XFF, SERVER)),
    _server("address-unlisted", IP, _by(XFF, ELSEWHERE)),
    _server("address-lower-case-name", OK, _by(XFF.lower(), SERVER)),
    _server("address-with-port", OK, _by(XFF, f"{SERVER}:4711")),
    _server("address-mapped", OK, _by(XFF, f"::ffff:{SERVER}")),
    _server("address-left", IP, _by(XFF, f"{SERVER}, {ELSEWHERE}")),
    _server("address-right", OK, _by(XFF, f"{ELSEWHERE}, {SERVER}")),
    _server("address-twice-first", IP, _by(XFF, SERVER), _by(XFF, ELSEWHERE)),
    _server("address-twice-last", OK, _by(XFF, ELSEWHERE), _by(XFF, SERVER)),
    _server("address-twice-in-two-cases", IP, _by(XFF, SERVER), _by(XFF.upper(), ELSEWHERE)),
    _server("address-underscores-after", IP, _by(XFF, ELSEWHERE), _by("X_Forwarded_For", SERVER)),
    _server("address-underscores-before", IP, _by("X_Forwarded_For", SERVER), _by(XFF, ELSEWHERE)),
    _server("address-one-underscore", IP, _by(XFF, ELSEWHERE), _by("X-Forwarded_For", SERVER)),
    _server("address-underscores-spoil-nothing", OK, _by(XFF, SERVER), _by("X_Forwarded_For", ELSEWHERE)),
    _server(
        "address-in-other-headers",
        IP,
        _by(XFF, ELSEWHERE),
        *(
            _by(name, SERVER)
            for name in (
                "X-Real-IP",
                "Client-IP",
                "CF-Connecting-IP",
                "True-Client-IP",
                "Remote-Addr",
                "REMOTE_ADDR",
            )
        ),
        f"Forwarded: for={SERVER}",
    ),
    _server("address-garbage", UNKNOWN, _by(XFF, "garbage")),
    _server("address-garbage-at-our-end", UNKNOWN, _by(XFF, f"{SERVER}, garbage")),
    _server("address-high-byte", UNKNOWN, XFF.encode() + b": \xff\xfe"),
    _server("address-nul", UNKNOWN, _by(XFF, f"{SERVER}\0"), otherwise=ODD),
    # runserver passes the line break on, so the hop isn't an IP address.
    _server(
        "address-folded",
        IP,
        _by(XFF, f"{SERVER},"),
        f" {ELSEWHERE}",
        otherwise={**FOLDED, RUNSERVER: UNKNOWN},
    ),
    _server("address-blank-before-colon", IP, _by(XFF, ELSEWHERE), _by(f"{XFF} ", SERVER), otherwise=ODD),
    _server("address-70-kB", UNKNOWN, _by(XFF, f"{SERVER}, {LONG}"), otherwise=HUGE),
    _server("address-empty", UNKNOWN, f"{XFF}: "),
]
