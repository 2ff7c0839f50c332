"""Domain entries: what they may be, what they match, what is refused and what is offered instead."""

import time
from typing import Any

import pytest

from allowlist.policy.entries import DomainForm, DomainList, display, parse_domain, read_canonical
from allowlist.policy.guards import read_domain
from allowlist.policy.origins import Origin, parse_origin
from allowlist.policy.problems import EntryError, Problem, split_pasted

FORMS = tuple(DomainForm)
ORIGIN, HOST, WILDCARD = {DomainForm.ORIGIN}, {DomainForm.HOST}, {DomainForm.WILDCARD}
LONGEST_LABEL = "a" * 63
LONGEST_HOST = ".".join([LONGEST_LABEL] * 3 + ["a" * 61])

ACCEPTED = [
    pytest.param("https://example.com", "https://example.com", ORIGIN, id="https-origin"),
    pytest.param("http://example.com", "http://example.com", ORIGIN, id="http-origin"),
    pytest.param("https://example.com:8443", "https://example.com:8443", ORIGIN, id="origin-with-port"),
    pytest.param("http://localhost:3000", "http://localhost:3000", ORIGIN, id="localhost-origin"),
    pytest.param("http://[::1]:3000", "http://[::1]:3000", ORIGIN, id="ipv6-origin"),
    pytest.param("http://127.0.0.1:8000", "http://127.0.0.1:8000", ORIGIN, id="ipv4-origin"),
    pytest.param("http://intranet", "http://intranet", ORIGIN, id="origin-of-a-single-label"),
    pytest.param("https://*.example.com", "https://*.example.com", ORIGIN | WILDCARD, id="origin-wildcard"),
    pytest.param(
        "https://*.example.com:8443", "https://*.example.com:8443", ORIGIN | WILDCARD, id="wildcard-with-port"
    ),
    pytest.param("example.com", "example.com", HOST, id="host"),
    pytest.param("localhost", "localhost", HOST, id="localhost"),
    pytest.param("127.0.0.1", "127.0.0.1", HOST, id="ipv4-host"),
    pytest.param("*.example.com", "*.example.com", WILDCARD, id="wildcard"),
    pytest.param("*.localhost", "*.localhost", WILDCARD, id="wildcard-of-localhost"),
    pytest.param("*.test", "*.test", WILDCARD, id="wildcard-of-an-unknown-top-level-name"),
    pytest.param(" \texample.com\r\n", "example.com", HOST, id="blanks-around"),
    pytest.param("HTTPS://Example.COM", "https://example.com", ORIGIN, id="lower-case"),
    pytest.param("https://example.com:443", "https://example.com", ORIGIN, id="default-https-port-dropped"),
    pytest.param("http://example.com:80", "http://example.com", ORIGIN, id="default-http-port-dropped"),
    pytest.param(
        "https://example.com:80", "https://example.com:80", ORIGIN, id="the-other-scheme's-port-stays"
    ),
    pytest.param(
        "https://*.example.com:443",
        "https://*.example.com",
        ORIGIN | WILDCARD,
        id="default-port-of-a-wildcard",
    ),
    pytest.param("https://example.com/", "https://example.com", ORIGIN, id="one-trailing-slash-dropped"),
    pytest.param("http://localhost:3000/", "http://localhost:3000", ORIGIN, id="trailing-slash-after-a-port"),
    pytest.param("example.com/", "example.com", HOST, id="trailing-slash-of-a-host"),
    pytest.param("https://example.com.", "https://example.com", ORIGIN, id="one-trailing-dot-dropped"),
    pytest.param("example.com.", "example.com", HOST, id="trailing-dot-of-a-host"),
    pytest.param("*.example.com.", "*.example.com", WILDCARD, id="trailing-dot-of-a-wildcard"),
    pytest.param("http://127.0.0.1.", "http://127.0.0.1", ORIGIN, id="trailing-dot-of-an-address"),
    pytest.param("http://[0:0::0:1]", "http://[::1]", ORIGIN, id="ipv6-compressed"),
    pytest.param("http://[2001:DB8::7]:80", "http://[2001:db8::7]", ORIGIN, id="ipv6-lower-case"),
    pytest.param("http://[::ffff:1.2.3.4]", "http://[::ffff:102:304]", ORIGIN, id="mapped-ipv6-as-browsers"),
    pytest.param("fa\xdf.de", "xn--fa-hia.de", HOST, id="sharp-s-is-not-ss"),
    pytest.param("xn--fa-hia.de", "xn--fa-hia.de", HOST, id="punycode"),
    pytest.param("XN--FA-HIA.de", "xn--fa-hia.de", HOST, id="punycode-in-capitals"),
    pytest.param("https://b\xfccher.de:8443", "https://xn--bcher-kva.de:8443", ORIGIN, id="unicode-origin"),
    pytest.param("*.B\xdcCHER.de", "*.xn--bcher-kva.de", WILDCARD, id="unicode-wildcard-in-capitals"),
    pytest.param("xn--fh0da.de", "xn--fh0da.de", HOST, id="letters-newer-than-python-s-unicode"),
    pytest.param("bu\u0308cher.de", "xn--bcher-kva.de", HOST, id="decomposed-unicode"),
    pytest.param("\u03c3\u03c2.gr", "xn--3xab.gr", HOST, id="final-sigma-stays"),
    pytest.param("\U0001f4a9.la", "xn--ls8h.la", HOST, id="emoji"),
    pytest.param("\u65e5\u672c\u3002jp", "xn--wgv71a.jp", HOST, id="ideographic-dot"),
    pytest.param("\uff45xample.com", "example.com", HOST, id="full-width-letter"),
    pytest.param("exam\xadple.com", "example.com", HOST, id="soft-hyphen-vanishes-as-in-browsers"),
    pytest.param("a_b.example.com", "a_b.example.com", HOST, id="underscore"),
    pytest.param("_a.example.com", "_a.example.com", HOST, id="underscore-first"),
    pytest.param("a--b.example.com", "a--b.example.com", HOST, id="hyphens-inside"),
    pytest.param("1and1.com", "1and1.com", HOST, id="digits-first"),
    pytest.param(f"{LONGEST_LABEL}.com", f"{LONGEST_LABEL}.com", HOST, id="label-of-63"),
    pytest.param(LONGEST_HOST, LONGEST_HOST, HOST, id="host-of-253"),
    pytest.param("co.uk", "co.uk", HOST, id="a-public-suffix-itself"),
    pytest.param("site.github.io", "site.github.io", HOST, id="a-site-on-a-shared-platform"),
]
BOTH_HOST_PORTS = ("https://example.com:8080", "http://example.com:8080")
REFUSED = [
    pytest.param("", Problem.EMPTY, (), id="empty"),
    pytest.param("\t \n", Problem.EMPTY, (), id="blank"),
    pytest.param(None, Problem.NOT_TEXT, (), id="none"),
    pytest.param(b"example.com", Problem.NOT_TEXT, (), id="bytes"),
    pytest.param(["example.com"], Problem.NOT_TEXT, (), id="list"),
    pytest.param("a" * 1001, Problem.TOO_LONG, (), id="1001-characters"),
    pytest.param("https://" + "a." * 50_000, Problem.TOO_LONG, (), id="100-kB"),
    pytest.param("example.com,example.org", Problem.SEVERAL, (), id="comma"),
    pytest.param("example.com;example.org", Problem.SEVERAL, (), id="semicolon"),
    pytest.param("example.com\nexample.org", Problem.SEVERAL, (), id="two-lines"),
    pytest.param("example.com\rexample.org", Problem.SEVERAL, (), id="two-old-mac-lines"),
    pytest.param("example.com example.org", Problem.SPACES, (), id="space"),
    pytest.param("exam\tple.com", Problem.SPACES, (), id="tab"),
    pytest.param("exam\xa0ple.com", Problem.SPACES, (), id="no-break-space"),
    pytest.param("example.com\x00", Problem.CONTROL, (), id="nul"),
    pytest.param("example.com\x0b", Problem.CONTROL, (), id="vertical-tab-at-the-end"),
    pytest.param("\x1cexample.com", Problem.CONTROL, (), id="file-separator-at-the-start"),
    pytest.param("exam\x0cple.com", Problem.CONTROL, (), id="form-feed-inside"),
    pytest.param("\x7fexample.com", Problem.CONTROL, (), id="delete"),
    pytest.param("example.com\ud800", Problem.CONTROL, (), id="surrogate"),
    pytest.param("\ue000.com", Problem.CONTROL, (), id="private-character"),
    pytest.param("null", Problem.NULL, (), id="null"),
    pytest.param("NULL", Problem.NULL, (), id="null-in-capitals"),
    pytest.param("*", Problem.EVERYTHING, (), id="star"),
    pytest.param("*:80", Problem.EVERYTHING, (), id="star-and-port"),
    pytest.param("*.*", Problem.EVERYTHING, (), id="stars"),
    pytest.param("https://*", Problem.EVERYTHING, (), id="every-https-site"),
    pytest.param("http://*:3000", Problem.EVERYTHING, (), id="every-site-on-a-port"),
    pytest.param("ftp://example.com", Problem.SCHEME, ("https://example.com",), id="ftp"),
    pytest.param("file:///etc/hosts", Problem.SCHEME, (), id="file"),
    pytest.param("chrome-extension://abcdef", Problem.SCHEME, (), id="extension"),
    pytest.param("capacitor://localhost", Problem.SCHEME, (), id="app"),
    pytest.param("about:blank", Problem.SCHEME, (), id="about"),
    pytest.param("data:text/html", Problem.SCHEME, (), id="data"),
    pytest.param("ws://example.com", Problem.SCHEME, ("http://example.com",), id="web-socket"),
    pytest.param("wss://example.com:1", Problem.SCHEME, ("https://example.com:1",), id="secure-web-socket"),
    pytest.param(
        "//example.com", Problem.SCHEME, ("https://example.com", "http://example.com"), id="slashes-alone"
    ),
    pytest.param("https:example.com", Problem.SCHEME, ("https://example.com",), id="no-slashes"),
    pytest.param("http:/example.com", Problem.SCHEME, ("http://example.com",), id="one-slash"),
    pytest.param("https:\\\\example.com", Problem.SCHEME, (), id="backslashes-for-slashes"),
    pytest.param("https:", Problem.SCHEME, (), id="scheme-alone"),
    pytest.param("https://", Problem.NO_HOST, (), id="no-host"),
    pytest.param("https:///", Problem.NO_HOST, (), id="slash-for-a-host"),
    pytest.param("https://:443", Problem.NO_HOST, (), id="port-without-host"),
    pytest.param(".", Problem.NO_HOST, (), id="dot"),
    pytest.param("*.", Problem.NO_HOST, (), id="wildcard-of-nothing"),
    pytest.param("https://me@example.com", Problem.USERINFO, ("https://example.com",), id="user"),
    pytest.param("https://me:pw@example.com:1", Problem.USERINFO, ("https://example.com:1",), id="password"),
    pytest.param("me@example.com", Problem.USERINFO, ("example.com",), id="e-mail-address"),
    pytest.param("me:pw@example.com", Problem.USERINFO, ("example.com",), id="password-without-scheme"),
    pytest.param("mailto:me@example.com", Problem.USERINFO, ("example.com",), id="mail"),
    pytest.param("https://a@b@example.com", Problem.USERINFO, ("https://example.com",), id="two-at-signs"),
    pytest.param(
        "https://me@example.com/path", Problem.USERINFO, ("https://example.com",), id="user-and-path"
    ),
    pytest.param("https://@", Problem.USERINFO, (), id="user-of-nothing"),
    pytest.param("https://example.com/path", Problem.PATH, ("https://example.com",), id="path"),
    pytest.param("https://example.com//", Problem.PATH, ("https://example.com",), id="two-trailing-slashes"),
    pytest.param("https://example.com?q=1", Problem.PATH, ("https://example.com",), id="query"),
    pytest.param("https://example.com/#top", Problem.PATH, ("https://example.com",), id="fragment"),
    pytest.param("example.com/path", Problem.PATH, ("example.com",), id="host-with-path"),
    pytest.param("example.com?q", Problem.PATH, ("example.com",), id="host-with-query"),
    pytest.param("example.com:8080/path", Problem.PATH, BOTH_HOST_PORTS, id="host-with-port-and-path"),
    pytest.param(
        "https://*.example.com/a", Problem.PATH, ("https://*.example.com",), id="wildcard-with-path"
    ),
    pytest.param(
        "https://example.com/@evil.com", Problem.PATH, ("https://example.com",), id="at-sign-in-the-path"
    ),
    pytest.param("127.0.0.1/index.html", Problem.PATH, ("127.0.0.1",), id="address-with-path"),
    pytest.param("/path", Problem.PATH, (), id="path-alone"),
    pytest.param("https://*.com/path", Problem.PATH, (), id="path-of-what-may-not-be-saved"),
    pytest.param("https://evil.com\\@example.com", Problem.BACKSLASH, (), id="backslash-before-at"),
    pytest.param("example.com\\", Problem.BACKSLASH, (), id="backslash"),
    pytest.param("https://exam%70le.com", Problem.PERCENT, (), id="percent-encoding"),
    pytest.param("http://[fe80::1%25eth0]", Problem.PERCENT, (), id="zone-id"),
    pytest.param("https://example.com:0", Problem.PORT, ("https://example.com",), id="port-0"),
    pytest.param("https://example.com:65536", Problem.PORT, ("https://example.com",), id="port-65536"),
    pytest.param(
        "https://example.com:0443", Problem.PORT, ("https://example.com:443",), id="leading-zero-in-port"
    ),
    pytest.param("https://example.com:", Problem.PORT, ("https://example.com",), id="empty-port"),
    pytest.param("https://example.com:http", Problem.PORT, ("https://example.com",), id="named-port"),
    pytest.param("https://example.com:1:2", Problem.PORT, ("https://example.com",), id="two-ports"),
    pytest.param("http://[::1]:0", Problem.PORT, ("http://[::1]",), id="bad-port-after-brackets"),
    pytest.param("example.com:", Problem.PORT, ("example.com",), id="empty-port-of-a-host"),
    pytest.param("example.com:99999", Problem.PORT, ("example.com",), id="bad-port-of-a-host"),
    pytest.param(
        "https://example.com:\u0661", Problem.PORT, ("https://example.com",), id="port-in-arabic-digits"
    ),
    pytest.param("example.com:8080", Problem.HOST_PORT, BOTH_HOST_PORTS, id="host-and-port"),
    pytest.param("example.com:8080/", Problem.HOST_PORT, BOTH_HOST_PORTS, id="host-port-and-slash"),
    pytest.param(
        "localhost:3000",
        Problem.HOST_PORT,
        ("https://localhost:3000", "http://localhost:3000"),
        id="localhost-and-port",
    ),
    pytest.param(
        "*.example.com:1",
        Problem.HOST_PORT,
        ("https://*.example.com:1", "http://*.example.com:1"),
        id="wildcard-and-port",
    ),
    pytest.param("::1", Problem.BARE_IPV6, ("https://[::1]", "http://[::1]"), id="bare-ipv6"),
    pytest.param("[::1]", Problem.BARE_IPV6, ("https://[::1]", "http://[::1]"), id="ipv6-in-brackets"),
    pytest.param("[::1]:80", Problem.BARE_IPV6, ("https://[::1]:80", "http://[::1]:80"), id="ipv6-and-port"),
    pytest.param("http://::1", Problem.BRACKETS, ("http://[::1]",), id="ipv6-origin-without-brackets"),
    pytest.param(
        "http://::1:3000",
        Problem.BRACKETS,
        ("http://[::1]:3000", "http://[::1:3000]"),
        id="ipv6-origin-and-port-without-brackets",
    ),
    pytest.param(
        "http://::1:30000",
        Problem.BRACKETS,
        ("http://[::1]:30000",),
        id="ipv6-origin-and-long-port-without-brackets",
    ),
    pytest.param("http://[::1", Problem.BRACKETS, (), id="unclosed-bracket"),
    pytest.param("http://[::1]x", Problem.BRACKETS, (), id="text-after-bracket"),
    pytest.param("http://[::1].example.com", Problem.BRACKETS, (), id="bracket-as-a-label"),
    pytest.param("http://[zz]", Problem.BRACKETS, (), id="no-address-in-brackets"),
    pytest.param("http://[1.2.3.4]", Problem.BRACKETS, (), id="ipv4-in-brackets"),
    pytest.param("203.0.113.0/24", Problem.NETWORK_AS_DOMAIN, (), id="network"),
    pytest.param("2001:db8::/32", Problem.NETWORK_AS_DOMAIN, (), id="ipv6-network"),
    pytest.param("203.0.113.7/24", Problem.NETWORK_AS_DOMAIN, (), id="network-with-host-bits"),
    pytest.param("0.0.0.0/0", Problem.NETWORK_AS_DOMAIN, (), id="network-of-all"),
    pytest.param("a.*.example.com", Problem.WILDCARD, ("*.example.com",), id="star-in-the-middle"),
    pytest.param("www*.example.com", Problem.WILDCARD, ("*.example.com",), id="star-after-text"),
    pytest.param("*www.example.com", Problem.WILDCARD, ("*.www.example.com",), id="star-before-text"),
    pytest.param("*example.com", Problem.WILDCARD, ("*.example.com",), id="star-without-dot"),
    pytest.param("**.example.com", Problem.WILDCARD, ("*.example.com",), id="two-stars"),
    pytest.param("*.*.example.com", Problem.WILDCARD, ("*.example.com",), id="two-star-labels"),
    pytest.param(
        "https://a.*.example.com:1", Problem.WILDCARD, ("https://*.example.com",), id="star-inside-an-origin"
    ),
    pytest.param("example.*", Problem.WILDCARD, (), id="star-at-the-end"),
    pytest.param("www.*.com", Problem.WILDCARD, (), id="star-before-a-public-suffix"),
    pytest.param("*.127.0.0.1", Problem.WILDCARD_ADDRESS, (), id="wildcard-of-ipv4"),
    pytest.param("http://*.127.0.0.1", Problem.WILDCARD_ADDRESS, (), id="origin-wildcard-of-ipv4"),
    pytest.param("*.[::1]", Problem.WILDCARD_ADDRESS, (), id="wildcard-of-ipv6"),
    pytest.param("http://*.[::1]:3000", Problem.WILDCARD_ADDRESS, (), id="origin-wildcard-of-ipv6"),
    pytest.param(".example.com", Problem.LEADING_DOT, ("*.example.com", "example.com"), id="leading-dot"),
    pytest.param(
        "https://.example.com",
        Problem.LEADING_DOT,
        ("https://*.example.com", "https://example.com"),
        id="leading-dot-of-an-origin",
    ),
    pytest.param(".com", Problem.LEADING_DOT, (), id="leading-dot-of-a-public-suffix"),
    pytest.param("a..example.com", Problem.EMPTY_LABEL, ("a.example.com",), id="empty-label"),
    pytest.param(
        "https://example..com:1",
        Problem.EMPTY_LABEL,
        ("https://example.com:1",),
        id="empty-label-of-an-origin",
    ),
    pytest.param("example.com..", Problem.EMPTY_LABEL, ("example.com.",), id="two-trailing-dots"),
    pytest.param("\uff0eexample.com", Problem.EMPTY_LABEL, (), id="leading-full-width-dot"),
    pytest.param(f"{LONGEST_LABEL}a.com", Problem.LONG_LABEL, (), id="label-of-64"),
    pytest.param("\xfc" * 60 + ".com", Problem.LONG_LABEL, (), id="label-of-64-as-punycode"),
    pytest.param(f"{LONGEST_HOST}a", Problem.LONG_HOST, (), id="host-of-254"),
    pytest.param("-example.com", Problem.HYPHEN, (), id="hyphen-first"),
    pytest.param("example.com-", Problem.HYPHEN, (), id="hyphen-last"),
    pytest.param("a-.example.com", Problem.HYPHEN, (), id="hyphen-before-a-dot"),
    pytest.param("a.-b.example.com", Problem.HYPHEN, (), id="hyphen-after-a-dot"),
    pytest.param("https://*.-a.com", Problem.HYPHEN, (), id="hyphen-in-a-wildcard"),
    pytest.param("exam!ple.com", Problem.HOST, (), id="sign"),
    pytest.param("https://exam(ple).com", Problem.HOST, (), id="parentheses"),
    pytest.param("a\u200db.com", Problem.HOST, (), id="joiner-browsers-refuse"),
    pytest.param("\uff0a.example.com", Problem.HOST, (), id="full-width-star"),
    pytest.param("example\uff0fpath.com", Problem.HOST, (), id="full-width-slash"),
    pytest.param("example.com\uff1a80", Problem.HOST, (), id="full-width-colon"),
    pytest.param("me\uff20example.com", Problem.HOST, (), id="full-width-at-sign"),
    pytest.param("xn--a.com", Problem.PUNYCODE, (), id="punycode-that-does-not-decode"),
    pytest.param("a.xn--zzzzzzzzzz99.com", Problem.PUNYCODE, (), id="punycode-in-a-later-label"),
    pytest.param("xn--example.com", Problem.PUNYCODE, (), id="punycode-of-nonsense"),
    pytest.param("xn--bcher-kva\xfc.de", Problem.PUNYCODE, (), id="punycode-with-unicode"),
    pytest.param("\uff58\uff4e--a.com", Problem.HOST, (), id="punycode-in-full-width-letters"),
    pytest.param("xn--bcher-2pa.de", Problem.PUNYCODE, (), id="punycode-browsers-would-not-write"),
    pytest.param("xn---bcher-4ya.de", Problem.PUNYCODE, (), id="punycode-of-a-hyphen-first"),
    pytest.param("\xad-b\xfccher.de", Problem.PUNYCODE, (), id="hyphen-first-once-browsers-have-spelt-it"),
    pytest.param("xn--example-.com", Problem.HYPHEN, (), id="punycode-of-ascii"),
    pytest.param("0x7f.1", Problem.ODD_IPV4, ("127.0.0.1",), id="hexadecimal-ipv4"),
    pytest.param("127.1", Problem.ODD_IPV4, ("127.0.0.1",), id="short-ipv4"),
    pytest.param("127.0.0.01", Problem.ODD_IPV4, ("127.0.0.1",), id="leading-zero-in-ipv4"),
    pytest.param("2130706433", Problem.ODD_IPV4, ("127.0.0.1",), id="ipv4-as-one-number"),
    pytest.param("http://0x7f.1", Problem.ODD_IPV4, ("http://127.0.0.1",), id="odd-ipv4-origin"),
    pytest.param("\uff11\uff12\uff17.0.0.1", Problem.ODD_IPV4, ("127.0.0.1",), id="full-width-digits"),
    pytest.param("1.2.3.256", Problem.ODD_IPV4, (), id="octet-over-255"),
    pytest.param("1.2.3.4.5", Problem.ODD_IPV4, (), id="five-octets"),
    pytest.param("example.1", Problem.ODD_IPV4, (), id="numeric-last-label"),
    pytest.param("https://example.0x1.", Problem.ODD_IPV4, (), id="hexadecimal-last-label"),
    pytest.param(
        "intranet", Problem.SINGLE_LABEL, ("https://intranet", "http://intranet"), id="single-label"
    ),
    pytest.param(
        "intranet.", Problem.SINGLE_LABEL, ("https://intranet", "http://intranet"), id="single-label-and-dot"
    ),
]


@pytest.mark.parametrize(("text", "canonical", "forms"), ACCEPTED)
def test_an_accepted_text_is_stored_canonical(text: str, canonical: str, forms: set[DomainForm]) -> None:
    entry = read_domain(text, FORMS)
    assert (entry.text, set(entry.forms)) == (canonical, forms)
    assert entry == parse_domain(canonical) == parse_domain(display(canonical))
    assert DomainList([canonical]).unreadable == ()


@pytest.mark.parametrize(("text", "problem", "guesses"), REFUSED)
def test_a_refusal_says_why_and_offers_what_may_be_saved(
    text: Any, problem: Problem, guesses: tuple[str, ...]
) -> None:
    with pytest.raises(EntryError) as refusal:
        read_domain(text, FORMS)
    assert (refusal.value.problem, refusal.value.guesses) == (problem, guesses)
    for guess in guesses:
        read_domain(guess, FORMS)
    assert not isinstance(text, str) or DomainList([text]).unreadable == (text,)


def test_a_refusal_carries_the_text_as_typed_but_for_blanks() -> None:
    with pytest.raises(EntryError) as refusal:
        read_domain(" Example.com/Path ", FORMS)
    assert refusal.value.text == "Example.com/Path"


MATCHES = {
    "https://example.com": {
        "https://example.com": True,
        "https://EXAMPLE.com.:443": True,
        "http://example.com": False,
        "https://example.com:8443": False,
        "https://www.example.com": False,
        "https://example.com.evil.com": False,
        "https://notexample.com": False,
        "https://example.co": False,
    },
    "https://example.com:8443": {
        "https://example.com:8443": True,
        "https://example.com": False,
        "http://example.com:8443": False,
    },
    "http://localhost:3000": {
        "http://localhost:3000": True,
        "http://localhost:3001": False,
        "https://localhost:3000": False,
        "http://a.localhost:3000": False,
    },
    "http://[::1]:3000": {
        "http://[::1]:3000": True,
        "http://[0:0:0:0:0:0:0:1]:3000": True,
        "http://[::1]": False,
        "http://[::2]:3000": False,
        "http://127.0.0.1:3000": False,
    },
    "https://*.example.com": {
        "https://a.example.com": True,
        "https://a.b.c.example.com": True,
        "https://A.EXAMPLE.com.": True,
        "https://example.com": False,
        "http://a.example.com": False,
        "https://a.example.com:8443": False,
        "https://aexample.com": False,
        "https://a.example.com.evil.com": False,
    },
    "https://*.example.com:8443": {
        "https://a.example.com:8443": True,
        "https://a.example.com": False,
        "https://example.com:8443": False,
        "http://a.example.com:8443": False,
    },
    "example.com": {
        "https://example.com": True,
        "http://example.com": True,
        "http://example.com:8080": True,
        "https://Example.COM.:1": True,
        "https://www.example.com": False,
        "https://example.com.evil.com": False,
        "https://example.org": False,
    },
    "localhost": {
        "http://localhost": True,
        "https://localhost:3000": True,
        "http://a.localhost": False,
        "http://127.0.0.1": False,
    },
    "127.0.0.1": {
        "http://127.0.0.1": True,
        "https://127.0.0.1:8443": True,
        "http://127.0.0.2": False,
        "http://[::ffff:127.0.0.1]": False,
        "http://localhost": False,
    },
    "*.example.com": {
        "https://a.example.com": True,
        "http://a.example.com:8080": True,
        "http://a.b.c.example.com": True,
        "https://example.com": False,
        "http://example.com:8080": False,
        "https://badexample.com": False,
        "https://a.example.com.evil.com": False,
        "https://com": False,
    },
    "*.localhost": {
        "http://a.localhost:3000": True,
        "http://localhost:3000": False,
    },
    "fa\xdf.de": {
        "https://xn--fa-hia.de": True,
        "https://XN--FA-HIA.de": True,
        "https://fass.de": False,
    },
    "*.b\xfccher.de": {
        "https://www.xn--bcher-kva.de": True,
        "https://xn--mein-xn--bcher-kva.de": False,
    },
    # Saving refuses it since the public-suffix list knows it; an entry stored before keeps matching.
    "*.github.io": {
        "https://site.github.io": True,
        "https://github.io": False,
    },
}


@pytest.mark.parametrize(
    ("entry", "page", "matches"),
    [
        pytest.param(entry, page, matches, id=f"{entry}-{'is' if matches else 'is-not'}-{page}")
        for entry, pages in MATCHES.items()
        for page, matches in pages.items()
    ],
)
def test_an_entry_matches_its_own_places_alone(entry: str, page: str, matches: bool) -> None:
    origin = parse_origin(page)
    assert origin is not None
    assert DomainList([entry]).match(origin) == (entry if matches else None)


@pytest.mark.parametrize(
    ("page", "entry"),
    [
        pytest.param("https://example.com", "https://example.com", id="the-exact-origin-comes-first"),
        pytest.param("https://example.com:1", "example.com", id="then-the-host"),
        pytest.param("https://a.example.com", "*.example.com", id="a-wildcard-for-any-scheme"),
        pytest.param("https://a.b.example.com:1", "https://*.b.example.com:1", id="the-deepest-wildcard"),
        pytest.param(
            "https://a.b.example.com:2", "*.example.com", id="a-higher-wildcard-where-the-deeper-fails"
        ),
        pytest.param("https://b.example.com:1", "*.example.com", id="the-apex-of-one-wildcard-under-another"),
        pytest.param("http://a.example.org", "http://*.example.org", id="one-of-two-wildcards-of-a-host"),
        pytest.param("https://a.example.org", "https://*.example.org", id="the-other-of-the-two"),
        pytest.param("http://a.example.org:1", None, id="neither-of-the-two"),
        pytest.param("https://example.net", None, id="none"),
    ],
)
def test_the_entry_that_matched_is_told(page: str, entry: str | None) -> None:
    compiled = DomainList(
        [
            "nonsense",
            "https://example.com",
            "example.com",
            "*.example.com",
            "https://*.b.example.com:1",
            "http://*.example.org",
            "https://*.example.org",
        ]
    )
    origin = parse_origin(page)
    assert origin is not None
    assert compiled.match(origin) == entry
    assert compiled.unreadable == ("nonsense",)


@pytest.mark.parametrize(
    "text",
    [
        "https://a.example",
        "http://a.example:8080",
        "https://*.a.example:1",
        "*.a.example",
        "a.example",
        "localhost",
    ],
)
def test_a_usual_stored_entry_is_read_the_short_way(text: str) -> None:
    assert read_canonical(text) == parse_domain(text)


def test_a_long_list_costs_what_a_short_one_does() -> None:
    origin = Origin("https", "a.b.c.d.e.example.com", 443)
    short, long = (DomainList([f"*.s{n}.example.com" for n in range(count)]) for count in (25, 2500))

    def cost(compiled: DomainList) -> float:
        started = time.process_time()
        for _ in range(200):
            compiled.match(origin)
        return time.process_time() - started

    assert min(cost(long) for _ in range(5)) < 3 * min(cost(short) for _ in range(5))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("example.com", "example.com", id="ascii-is-shown-as-it-is"),
        pytest.param("http://[::1]:3000", "http://[::1]:3000", id="ipv6-is-shown-as-it-is"),
        pytest.param("xn--fa-hia.de", "fa\xdf.de", id="punycode-as-unicode"),
        pytest.param("*.xn--fa-hia.de", "*.fa\xdf.de", id="wildcard"),
        pytest.param("https://xn--fa-hia.de", "https://fa\xdf.de", id="origin"),
        pytest.param(
            "https://*.xn--fa-hia.de:8443", "https://*.fa\xdf.de:8443", id="wildcard-origin-with-port"
        ),
        pytest.param("http://a.xn--fa-hia.xn--p1ai:1", "http://a.fa\xdf.\u0440\u0444:1", id="every-label"),
    ],
)
def test_entries_are_shown_as_people_write_them(text: str, shown: str) -> None:
    assert display(text) == shown


@pytest.mark.parametrize(
    ("pasted", "entries"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param(" \n,\r\n , ", [], id="blanks"),
        pytest.param("example.com", ["example.com"], id="one"),
        pytest.param("a.com\nb.com\r\nc.com\rd.com", ["a.com", "b.com", "c.com", "d.com"], id="lines"),
        pytest.param("a.com, b.com,c.com,", ["a.com", "b.com", "c.com"], id="commas"),
        pytest.param(" a.com \n\n b.com,\tc.com\n", ["a.com", "b.com", "c.com"], id="lines-and-commas"),
        pytest.param("https://a.com:1/, http://[::1]:2", ["https://a.com:1/", "http://[::1]:2"], id="urls"),
        pytest.param("a.com b.com", ["a.com b.com"], id="one-entry-is-never-split"),
        pytest.param(
            "a.com\x0b\nb.com\x85", ["a.com\x0b", "b.com\x85"], id="controls-are-left-to-be-refused"
        ),
        pytest.param("a.com\x0b\nb.com\x85", ["a.com\x0b", "b.com\x85"], id="control-characters-are-kept"),
        pytest.param("a.com\na.com", ["a.com", "a.com"], id="duplicates-are-left-to-the-list"),
    ],
)
def test_a_pasted_list_is_one_entry_a_line_or_comma(pasted: str, entries: list[str]) -> None:
    assert split_pasted(pasted) == entries


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "a." * 500,
        "xn--a." * 160,
        "xn--ls8h." * 110,
        "xn--" + "9" * 990,
        "xn--" + "a" * 500 + "-" + "z" * 490,
        "\xfc" * 1000,
        "\xfc." * 500,
        "*." * 500,
        "-" * 1000,
        "[" * 1000,
        ":" * 1000,
        "1" * 1000,
        "http://" + "1" * 900,
        "http://a:" + "1" * 900,
        "@" * 1000,
        "/" * 1000,
        "u\u0308" * 500,
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_a_text_is_judged_quickly(text: str) -> None:
    def judge() -> float:
        started = time.process_time()
        with pytest.raises(EntryError):
            read_domain(text, FORMS)
        return time.process_time() - started

    assert min(judge() for _ in range(5)) < 0.02
