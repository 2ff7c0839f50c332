"""Coverage-guided fuzzing of what strangers send and creators type. It isn't part of the tests.

    python -m fuzz.fuzz headers -max_total_time=180

Each target is a function with a row in ``SEEDS``. Arguments after its name go to libFuzzer. A finding is
an exception: an error in our code, or an AssertionError when an independent reading disagrees.
CONTRIBUTING.md describes how to run it.
"""

import io
import sys
from ipaddress import ip_address
from pathlib import Path

import ada_url
import atheris
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.handlers.wsgi import WSGIRequest

PROXY, STRANGER = "10.0.0.1", "198.51.100.9"
settings.configure(ALLOWLIST={"TRUSTED_PROXIES": ["10.0.0.0/8", "2001:db8:ffff::/48"]})
atheris.enabled_hooks.add("str")
atheris.enabled_hooks.add("RegEx")
with atheris.instrument_imports(include=["allowlist"]):
    from allowlist.enforcement.client_ip import client_address
    from allowlist.enforcement.credentials import read_credential
    from allowlist.policy.decision import Condition, Policy, Source, decide
    from allowlist.policy.entries import (
        DomainEntry,
        DomainForm,
        DomainList,
        display,
        parse_domain,
        read_canonical,
    )
    from allowlist.policy.guards import read_domain, read_ip
    from allowlist.policy.networks import IPForm, IPList, parse_ip
    from allowlist.policy.origins import Origin, parse_origin, read_page
    from allowlist.policy.problems import EntryError
    from allowlist.policy.tokens import Token, looks_secret
from tests.policy.oracle import LISTED, covers  # noqa: E402

POLICY = Policy(DomainList(LISTED), None, Condition.ALL, "deny")
TOKEN = "pk_live_" + "3f7c0k2m9q4x" + "Ab1" * 10 + "Zz"


def headers(data: bytes) -> None:
    """An allowed page is at a place that the entry matches, as a browser reads Origin and Referer."""
    text = data.decode("latin-1")
    for page in (read_page(text, None, None), read_page(None, text, None)):
        decision = decide(POLICY, Source(page, lambda: None))
        if decision.allowed:
            assert decision.entry is not None
            assert covers(decision.entry, text.strip(" \t"))
        if isinstance(page, Origin):
            assert parse_origin(str(page)) == page


def entries(data: bytes) -> None:
    """A text is an EntryError, or an entry that a browser spells alike and that matches its own pages."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        entry = read_domain(text, list(DomainForm))
    except EntryError as error:
        for guess in error.guesses:
            read_domain(guess, list(DomainForm))
    else:
        _check_domain(text, entry)
    try:
        ip = read_ip(text, list(IPForm), public_only=False)
    except EntryError as error:
        for guess in error.guesses:
            read_ip(guess, list(IPForm), public_only=False)
    else:
        assert parse_ip(ip.text) == ip
        assert IPList([ip.text]).match(ip.network.broadcast_address) == ip.text


def _check_domain(text: str, entry: DomainEntry) -> None:
    assert parse_domain(entry.text) == entry
    assert read_canonical(entry.text) in {None, entry}
    assert parse_domain(display(entry.text)) == entry
    typed = text.strip() if entry.scheme else f"https://{text.strip()}"
    assert ada_url.URL(typed.replace("*.", "", 1)).hostname.removesuffix(".") == entry.host
    scheme, port = entry.scheme or "https", entry.port or 443
    for host in (entry.host, f"a.{entry.host}", f"a{entry.host}", f"{entry.host}.evil.net"):
        url = f"{scheme}://{host}:{port}"
        page = parse_origin(url)
        matched = page is not None and DomainList([entry.text]).match(page) is not None
        assert matched is (page is not None and covers(entry.text, url))


def tokens(data: bytes) -> None:
    """A text is a token if it has the shape of one, wherever it is sent."""
    text = data.decode("latin-1")
    token = Token.parse(text)
    kind, locator, secret = text[:8], text[8:20], text[20:]
    is_one = (
        kind in {"pk_live_", "pk_test_", "sk_live_", "sk_test_"}
        and len(text) == 52
        and (locator + secret).isascii()
        and (locator + secret).isalnum()
        and locator == locator.lower()
    )
    assert (token is not None) is is_one
    assert looks_secret(text) is (kind in {"sk_live_", "sk_test_"})
    if token is not None:
        assert len(token.digest) == 64
        assert secret not in repr(token)
    for name in ("HTTP_X_API_KEY", "HTTP_AUTHORIZATION", "QUERY_STRING"):
        try:
            presented = read_credential(_request(**{name: text}))
        except SuspiciousOperation:
            continue
        assert presented is None or presented.in_url is (name == "QUERY_STRING")


def forwarded(data: bytes) -> None:
    """The address is the first from the right that isn't trusted, as ada-url reads it too."""
    text = data.decode("latin-1")
    assert str(client_address(_request(HTTP_X_FORWARDED_FOR=text, REMOTE_ADDR=STRANGER))) == STRANGER
    address = client_address(_request(HTTP_X_FORWARDED_FOR=text, REMOTE_ADDR=PROXY))
    client_address(_request(HTTP_X_FORWARDED_FOR=STRANGER, REMOTE_ADDR=text))
    if address is None:
        return
    hops = [_seen(hop.strip(" \t")) for hop in text.split(",")[-100:]]
    while len(hops) > 1 and hops[-1].startswith(("10.", "[2001:db8:ffff:", "[::ffff:a")):
        hops.pop()
    plain = f"[{address}]" if address.version == 6 else str(address)
    assert plain == hops[-1] or f"[::ffff:{address}]" == _dotted(hops[-1])


def _seen(hop: str) -> str:
    """Return the host that ada-url reads in a hop, without its port and brackets."""
    if hop.count(":") > 1 and not hop.startswith("["):
        hop = f"[{hop}]"
    host, colon, port = hop.rpartition(":")
    if colon and port.isdigit() and len(port) < 6 and not host.endswith(":"):
        hop = host
    if ":" not in hop:
        hop = hop.removeprefix("[").removesuffix("]") if hop.endswith("]") else hop
    try:
        return str(ada_url.URL(f"http://{hop}").hostname)
    except ValueError:
        return "nothing"


def _dotted(host: str) -> str:
    """Return an IPv4-mapped address in brackets in the spelling with dots, any other host unchanged."""
    if not host.startswith("[::ffff:"):
        return host
    return f"[::ffff:{getattr(ip_address(host[1:-1]), 'ipv4_mapped', None)}]"


def _request(**environ: str) -> WSGIRequest:
    return WSGIRequest({"REQUEST_METHOD": "GET", "wsgi.input": io.BytesIO(), **environ})


SEEDS = {
    headers: [
        *(each.replace("*.", "a.").encode() for each in LISTED),
        b"https://a.b.any.org:81/x?y#z",
        b"https://evil.com\\@allowed.com",
        b"https://[::1].allowed.com",
        b"null",
    ],
    entries: [
        *(each.encode() for each in LISTED),
        "https://*.b\xfccher.de:81/".encode(),
        b"203.0.113.0/24",
        b"2001:db8::/32",
        b"::ffff:203.0.113.7",
        b"0x7f.1",
        b"user:pw@allowed.com:80",
    ],
    tokens: [
        TOKEN.encode(),
        TOKEN.replace("pk", "sk").encode(),
        f"Api-Key {TOKEN}".encode(),
        f"key={TOKEN}&key=1".encode(),
    ],
    forwarded: [
        b"203.0.113.7, 10.0.0.2",
        b"203.0.113.7:80,[2001:db8::7]:80, 2001:db8:ffff::1",
        b"::ffff:203.0.113.7, ::ffff:10.0.0.2",
        b"fe80::1%eth0",
    ],
}


WORDS = [
    *("https://", "http://", "://", "//", "@", "\\", "/", "?", "#", ".", "..", "*.", "%", "%00", "%2e"),
    *(":443", ":80", ":8443", ":0", ":65536", "[", "]", "[::1]", "::", "::ffff:", ",", ", ", " ", "\t", "\n"),
    *("\x00", "-", "_", "xn--", "xn--fa-hia", "0x", "0", "1", "127.0.0.1", "10.0.0.2", "203.0.113.7"),
    *("2001:db8:ffff::", "allowed.com", "shop.", "host.com", "a.wild.com"),
    *("any.org", "intranet", "localhost", "evil.net"),
    *("null", "\xad", "\xdf", "\u3002", "\uff0e", "\u0130", "\u212a", "\u200d", "\u2024", "/24"),
    *("/32", "pk_live_", "sk_test_", "Api-Key ", "Bearer ", "key=", "&"),
]  # fmt: skip


def main() -> None:
    """Fuzz the target that the first argument names. ``fuzz/corpus`` keeps what was learned."""
    targets = {target.__name__: target for target in SEEDS}
    target = targets[sys.argv[1]]
    folder = Path(__file__).parent / "corpus" / target.__name__
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[target]):
        (folder / f"seed-{number}").write_bytes(seed)
    words = folder.parent / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in WORDS))
    atheris.Setup(
        [sys.argv[0], f"-dict={words}", f"-artifact_prefix={folder}-", *sys.argv[2:], str(folder)], target
    )
    atheris.Fuzz()


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


if __name__ == "__main__":
    main()
