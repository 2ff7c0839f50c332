"""Which page a request's headers tell of: one row for each rule about Origin, Referer, Sec-Fetch-Site."""

import time
from ipaddress import IPv6Address

import pytest

from allowlist.policy import origins
from allowlist.policy.origins import (
    NoOrigin,
    Origin,
    ipv6_text,
    parse_host,
    parse_origin,
    parse_port,
    read_page,
)

OPAQUE, MALFORMED, HIDDEN, ABSENT = NoOrigin.OPAQUE, NoOrigin.MALFORMED, NoOrigin.HIDDEN, NoOrigin.ABSENT
SITE = Origin("https", "example.com", 443)
LONGEST_LABEL = "a" * 63
LONGEST_HOST = ".".join([LONGEST_LABEL] * 3 + ["a" * 61])


@pytest.mark.parametrize(
    ("origin", "referer", "sec_fetch_site", "page"),
    [
        pytest.param("https://example.com", None, None, SITE, id="origin-alone-decides"),
        pytest.param(
            "https://example.com", "https://other.com/", "cross-site", SITE, id="origin-beats-referer"
        ),
        pytest.param("", "https://example.com/", "cross-site", MALFORMED, id="empty-origin-still-decides"),
        pytest.param(" \t", "https://example.com/", None, MALFORMED, id="blank-origin-still-decides"),
        pytest.param("what?", "https://example.com/", None, MALFORMED, id="malformed-origin-still-decides"),
        pytest.param("null", None, None, OPAQUE, id="null-is-opaque"),
        pytest.param(" null\t", None, None, OPAQUE, id="null-is-stripped-as-any-value"),
        pytest.param(
            "null", "https://example.com/", "cross-site", OPAQUE, id="null-never-falls-back-to-referer"
        ),
        pytest.param("NULL", None, None, MALFORMED, id="null-is-lower-case"),
        pytest.param("null, null", None, None, MALFORMED, id="null-twice-is-a-list"),
        pytest.param(None, "https://example.com/shop?a#b", None, SITE, id="referer-counts-without-origin"),
        pytest.param(None, "https://example.com/", "cross-site", SITE, id="referer-beats-sec-fetch-site"),
        pytest.param(None, "", None, MALFORMED, id="empty-referer-still-decides"),
        pytest.param(None, "", "cross-site", MALFORMED, id="empty-referer-is-not-hidden"),
        pytest.param(None, "null", None, MALFORMED, id="null-as-referer-is-malformed"),
        pytest.param(None, None, "cross-site", HIDDEN, id="sec-fetch-site-alone-is-hidden"),
        pytest.param(None, None, "same-origin", HIDDEN, id="sec-fetch-site-never-lets-in"),
        pytest.param(None, None, "https://example.com", HIDDEN, id="sec-fetch-site-is-not-read"),
        pytest.param(None, None, "", HIDDEN, id="empty-sec-fetch-site-is-hidden"),
        pytest.param(None, None, None, ABSENT, id="no-header-is-absent"),
    ],
)
def test_which_header_decides(
    origin: str | None, referer: str | None, sec_fetch_site: str | None, page: Origin | NoOrigin
) -> None:
    assert read_page(origin, referer, sec_fetch_site) == page


VALID_AUTHORITIES = [
    pytest.param("https://example.com", "https", "example.com", 443, id="https-has-port-443"),
    pytest.param("http://example.com", "http", "example.com", 80, id="http-has-port-80"),
    pytest.param("https://example.com:443", "https", "example.com", 443, id="default-port-written-out"),
    pytest.param("https://example.com:80", "https", "example.com", 80, id="the-other-scheme's-port-stays"),
    pytest.param("https://example.com:8443", "https", "example.com", 8443, id="port"),
    pytest.param("https://example.com:1", "https", "example.com", 1, id="lowest-port"),
    pytest.param("https://example.com:65535", "https", "example.com", 65535, id="highest-port"),
    pytest.param("HTTPS://EXAMPLE.COM", "https", "example.com", 443, id="case-is-ignored"),
    pytest.param("https://example.com.", "https", "example.com", 443, id="one-trailing-dot-is-ignored"),
    pytest.param("https://example.com.:8443", "https", "example.com", 8443, id="trailing-dot-before-port"),
    pytest.param("http://localhost:3000", "http", "localhost", 3000, id="single-label"),
    pytest.param("http://127.0.0.1:8000", "http", "127.0.0.1", 8000, id="ipv4"),
    pytest.param("http://127.0.0.1.", "http", "127.0.0.1", 80, id="ipv4-with-trailing-dot"),
    pytest.param("http://[::1]:3000", "http", "[::1]", 3000, id="ipv6"),
    pytest.param("http://[2001:DB8:0:0::7]", "http", "[2001:db8::7]", 80, id="ipv6-is-compressed"),
    pytest.param("http://[::ffff:1.2.3.4]", "http", "[::ffff:102:304]", 80, id="mapped-ipv6-stays-ipv6"),
    pytest.param("https://xn--fa-hia.de", "https", "xn--fa-hia.de", 443, id="punycode"),
    pytest.param("https://XN--FA-HIA.DE", "https", "xn--fa-hia.de", 443, id="punycode-in-capitals"),
    pytest.param("https://xn--a.example", "https", "xn--a.example", 443, id="punycode-is-not-decoded"),
    pytest.param("https://a_b._c.example", "https", "a_b._c.example", 443, id="underscores"),
    pytest.param("https://a--b.example", "https", "a--b.example", 443, id="hyphens-inside"),
    pytest.param("https://1and1.com", "https", "1and1.com", 443, id="digits-first"),
    pytest.param("https://1.2.3.com", "https", "1.2.3.com", 443, id="numeric-labels-but-the-last"),
    pytest.param(f"https://{LONGEST_LABEL}.com", "https", f"{LONGEST_LABEL}.com", 443, id="label-of-63"),
    pytest.param(f"https://{LONGEST_HOST}.:65535", "https", LONGEST_HOST, 65535, id="host-of-253"),
]
MALFORMED_AUTHORITIES = [
    pytest.param("example.com", id="no-scheme"),
    pytest.param("//example.com", id="scheme-relative"),
    pytest.param("https:example.com", id="no-slashes"),
    pytest.param("https:/example.com", id="one-slash"),
    pytest.param("https:///example.com", id="three-slashes"),
    pytest.param("https:\\\\example.com", id="backslashes-for-slashes"),
    pytest.param("ftp://example.com", id="other-scheme"),
    pytest.param("wss://example.com", id="web-socket"),
    pytest.param("file://", id="file"),
    pytest.param("chrome-extension://abcdef", id="extension"),
    pytest.param("https://", id="no-host"),
    pytest.param("https://:443", id="port-without-host"),
    pytest.param("https://.", id="dot-alone"),
    pytest.param("https://user@example.com", id="user"),
    pytest.param("https://user:secret@example.com", id="user-and-password"),
    pytest.param("https://@example.com", id="empty-user"),
    pytest.param("https://evil.com\\@example.com", id="backslash-before-at"),
    pytest.param("https://example.com\\.evil.com", id="backslash"),
    pytest.param("https://example%2ecom", id="percent-encoding"),
    pytest.param("https://example.com%00.evil.com", id="encoded-nul"),
    pytest.param("https://exam\x00ple.com", id="nul"),
    pytest.param("https://exam\tple.com", id="tab-inside"),
    pytest.param("https://exam\nple.com", id="newline-inside"),
    pytest.param("https://example.com\n", id="newline-after"),
    pytest.param("\nhttps://example.com", id="newline-before"),
    pytest.param("https://example.com\x7f", id="delete"),
    pytest.param("https://exa mple.com", id="space-inside"),
    pytest.param("\xa0https://example.com", id="no-break-space-is-not-stripped"),
    pytest.param("https://ex\xe4mple.com", id="latin-1"),
    pytest.param("https://fa\xdf.de", id="sharp-s"),
    pytest.param("https://example\u3002com", id="ideographic-dot"),
    pytest.param("https://\uff45xample.com", id="full-width-letter"),
    pytest.param("https://example.com\u212a", id="kelvin-sign-lower-cases-to-k"),
    pytest.param("http\u017f://example.com", id="long-s-is-no-s"),
    pytest.param("https://\ud800.com", id="surrogate"),
    pytest.param("https://example.com:\u0664\u0664\u0663", id="arabic-digits-in-port"),
    pytest.param("https://example.com https://other.com", id="list-with-spaces"),
    pytest.param("https://a..com", id="empty-label"),
    pytest.param("https://.example.com", id="leading-dot"),
    pytest.param("https://example.com..", id="two-trailing-dots"),
    pytest.param(f"https://{LONGEST_LABEL}a.com", id="label-of-64"),
    pytest.param(f"https://{LONGEST_HOST}a", id="host-of-254"),
    pytest.param("https://-example.com", id="hyphen-first"),
    pytest.param("https://example-.com", id="hyphen-last"),
    pytest.param("https://-", id="hyphen-alone"),
    pytest.param("https://example.com:", id="empty-port"),
    pytest.param("https://example.com:0", id="port-0"),
    pytest.param("https://example.com:65536", id="port-65536"),
    pytest.param("https://example.com:99999", id="port-99999"),
    pytest.param("https://example.com:0443", id="port-with-leading-zero"),
    pytest.param("https://example.com:123456", id="port-of-six-digits"),
    pytest.param("https://example.com:+443", id="signed-port"),
    pytest.param("https://example.com:https", id="named-port"),
    pytest.param("https://example.com:443:443", id="two-ports"),
    pytest.param("http://127.1", id="short-ipv4"),
    pytest.param("http://0x7f.0.0.1", id="hexadecimal-ipv4"),
    pytest.param("http://127.0.0.0x1", id="hexadecimal-last-octet"),
    pytest.param("http://2130706433", id="ipv4-as-one-number"),
    pytest.param("http://127.0.0.01", id="ipv4-with-leading-zero"),
    pytest.param("http://127.0.0.256", id="octet-over-255"),
    pytest.param("http://1.2.3.4.5", id="five-octets"),
    pytest.param("https://example.1", id="numeric-last-label"),
    pytest.param("https://example.0x", id="hexadecimal-last-label"),
    pytest.param("http://::1", id="ipv6-without-brackets"),
    pytest.param("http://[::1", id="unclosed-bracket"),
    pytest.param("http://::1]", id="unopened-bracket"),
    pytest.param("http://[]", id="empty-brackets"),
    pytest.param("http://[1.2.3.4]", id="ipv4-in-brackets"),
    pytest.param("http://[::1]example.com", id="text-after-bracket"),
    pytest.param("https://[::1].example.com", id="bracket-as-a-label"),
    pytest.param("http://[fe80::1%25eth0]", id="zone"),
    pytest.param("http://[::12345]", id="ipv6-group-over-16-bits"),
    pytest.param("https://*.example.com", id="star"),
]


@pytest.mark.parametrize(("text", "scheme", "host", "port"), VALID_AUTHORITIES)
class TestValidAuthority:
    def test_is_an_origin(self, text: str, scheme: str, host: str, port: int) -> None:
        assert read_page(text, None, None) == Origin(scheme, host, port)

    def test_may_have_blanks_around(self, text: str, scheme: str, host: str, port: int) -> None:
        assert read_page(f"\t {text} \t", None, None) == Origin(scheme, host, port)

    @pytest.mark.parametrize(
        "rest", ["", "/", "/a/b?c=d#e", "?c", "#e", "/@evil.com", "/\\evil.com", "/%00 x"]
    )
    def test_is_a_referer_whatever_follows(
        self, text: str, scheme: str, host: str, port: int, rest: str
    ) -> None:
        assert read_page(None, f" {text}{rest}\t", None) == Origin(scheme, host, port)

    def test_is_written_as_browsers_write_it(self, text: str, scheme: str, host: str, port: int) -> None:
        assert parse_origin(str(Origin(scheme, host, port))) == Origin(scheme, host, port)


@pytest.mark.parametrize("text", MALFORMED_AUTHORITIES)
class TestMalformedAuthority:
    def test_is_a_malformed_origin(self, text: str) -> None:
        assert read_page(text, "https://example.com/", None) is MALFORMED

    @pytest.mark.parametrize("rest", ["", "/path"])
    def test_is_a_malformed_referer(self, text: str, rest: str) -> None:
        assert read_page(None, text + rest, None) is MALFORMED


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("https://example.com/", id="slash"),
        pytest.param("https://example.com/path", id="path"),
        pytest.param("https://example.com?query", id="query"),
        pytest.param("https://example.com#fragment", id="fragment"),
        pytest.param("https://example.com,https://other.com", id="list-with-comma"),
        pytest.param("https://example.com, https://example.com", id="list-of-the-same"),
    ],
)
def test_an_origin_has_nothing_after_its_port(text: str) -> None:
    assert read_page(text, None, None) is MALFORMED


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("https://example.com/\x00", id="nul-in-path"),
        pytest.param("https://example.com/a\tb", id="tab-in-path"),
        pytest.param("https://example.com/?a\nb", id="newline-in-query"),
        pytest.param("https://example.com/#\x7f", id="delete-in-fragment"),
        pytest.param("https://example.com/caf\xe9", id="latin-1-in-path"),
        pytest.param("https://example.com/\ud800", id="surrogate-in-path"),
        pytest.param("/path", id="relative"),
        pytest.param("about:blank", id="about"),
        pytest.param("android-app://com.example/", id="app"),
        pytest.param("https://example.com/, https://other.com/ \x00", id="list-with-control"),
    ],
)
def test_a_referer_is_absolute_and_printable_ascii(text: str) -> None:
    assert read_page(None, text, "cross-site") is MALFORMED


@pytest.mark.parametrize(
    ("headers", "page"),
    [
        pytest.param(
            ("https://shop.example:8443", "https://shop.example:8443/", "cross-site"),
            "https://shop.example:8443",
            id="fetch",
        ),
        pytest.param(
            (None, "https://shop.example/page", "cross-site"), "https://shop.example", id="script-tag"
        ),
        pytest.param(
            (None, "http://shop.example/", None), "http://shop.example", id="script-tag-http-to-http"
        ),
        pytest.param((None, None, "cross-site"), "hidden", id="script-tag-under-no-referrer"),
        pytest.param(("null", "https://parent.example/", "cross-site"), "opaque", id="sandboxed-frame"),
        pytest.param((None, None, None), "absent", id="curl"),
    ],
)
def test_what_browsers_send_is_read(headers: tuple[str | None, str | None, str | None], page: str) -> None:
    assert str(read_page(*headers)) == page


@pytest.mark.parametrize("text", ["443\n", "", "0", "00", "080", "65536", "1" * 5000, "\u0664", " 80", "8_0"])
def test_a_port_is_plain(text: str) -> None:
    assert parse_port(text) is None


def test_a_host_is_lower_case_ascii() -> None:
    assert parse_host("Example.com") is None
    assert parse_host("fa\xdf.de") is None


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("0:0:0:0:0:0:0:1", "::1"),
        ("2001:db8::", "2001:db8::"),
        ("::ffff:0.0.0.1", "::ffff:0:1"),
        ("::ffff:255.1.2.3", "::ffff:ff01:203"),
    ],
)
def test_ipv6_is_written_in_one_way_by_every_python(address: str, text: str) -> None:
    assert ipv6_text(IPv6Address(address)) == text


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "https://" + "a" * 100_000,
        "https://" + "a." * 50_000,
        "https://" + "a-" * 50_000 + "!",
        "https://" + "xn--a." * 20_000,
        "https://a:" + "1" * 100_000,
        "https://[" + ":" * 100_000 + "]",
        "https://example.com/" + "a" * 100_000,
        "https://example.com/" + "?#" * 50_000 + "\x00",
        " \t" * 50_000,
        "\x00" * 100_000,
    ],
    ids=lambda text: text[:14].strip() or "blanks",
)
def test_a_huge_header_costs_a_few_milliseconds(text: str) -> None:
    def read() -> float:
        started = time.process_time()
        read_page(text, None, None)
        read_page(None, text, None)
        return time.process_time() - started

    assert min(read() for _ in range(5)) < 0.01


def test_what_is_too_long_for_an_origin_is_not_remembered() -> None:
    held = origins._parse_origin.cache_info().currsize
    assert origins.parse_origin("https://" + "a." * 1000 + "com") is None
    assert origins._parse_origin.cache_info().currsize == held
