"""What holds for every text: properties tried with generated, mostly hostile, input.

``ALLOWLIST_EXAMPLES=200000 pytest tests/policy/test_properties.py`` hunts longer.
"""

import os
import time
from collections.abc import Callable
from ipaddress import ip_network
from typing import Literal, TypeVar

import ada_url
import pytest
from hypothesis import HealthCheck, example, given, reject, settings
from hypothesis import strategies as st

from allowlist.policy import entries, networks
from allowlist.policy.decision import Condition, Policy, Source, decide
from allowlist.policy.entries import DomainEntry, DomainForm, DomainList, display, parse_domain
from allowlist.policy.guards import read_domain, read_ip
from allowlist.policy.networks import Address, IPForm, IPList, parse_address, parse_ip
from allowlist.policy.origins import NoOrigin, Origin, parse_origin, read_page
from allowlist.policy.problems import EntryError, split_pasted
from allowlist.policy.tokens import Token, looks_secret

from .oracle import LISTED, covers
from .tables import REFUSED_DOMAINS, REFUSED_IPS, matches, refused

Entry = TypeVar("Entry")
tried = settings(
    max_examples=int(os.environ.get("ALLOWLIST_EXAMPLES", "200")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

COMPILED = DomainList(LISTED)
HOSTS = [
    *("allowed.com", "shop.allowed.com", "localhost", "[::1]", "intranet", "host.com", "127.0.0.1"),
    *("xn--fa-hia.de", "fa\xdf.de", "fass.de", "a.wild.com", "wild.com", "a.b.any.org", "any.org"),
    *("www.xn--bcher-kva.de", "www.b\xfccher.de", "evil.com", "evil", "xn--a.wild.com", "ALLOWED.COM"),
    *("0x7f.1", "127.1", "2130706433", "0177.0.0.1", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::1%25lo]"),
]  # fmt: skip
SCHEMES = [
    "https://",
    "http://",
    "HTTPS://",
    "ws://",
    "https:",
    "https:/",
    "https:\\\\",
    "//",
    "",
    "javascript:",
]
GLUE = [
    *("@", ":@", "user:pw@", "\\", "\\@", "/", "//", "?", "#", ".", "..", "%2e", "%00", "%40", "%"),
    *(":", ":443", ":80", ":8443", ":3000", ":0", ":08443", ":65536", ",", ", ", "[", "]", "::", "*", "*."),
    *(" ", "\t", "\n", "\r", "\x00", "\x7f", "\xa0", "\xad", "\u200b", "\u200d", "\u202e", "\ud800"),
    *("\u3002", "\uff0e", "\uff61", "\uff0f", "\uff20", "\u0130", "\u212a", "\xdf", "\xc3\x9f"),
    *("-", "_", "xn--", "a", "www.", "0x", "1", ".1", ".com", "null"),
]  # fmt: skip
anything = st.text(st.characters(exclude_categories=()), max_size=60)
hosts = st.sampled_from(HOSTS)
glue = st.sampled_from(GLUE)
ports = st.sampled_from(["", "", "", ":443", ":80", ":8443", ":3000", ":1"])
plausible = st.builds("{}{}{}".format, st.sampled_from(SCHEMES[:3]), hosts, ports)
spliced = st.builds(
    lambda text, at, more: text[: at % (len(text) + 1)] + more + text[at % (len(text) + 1) :],
    plausible,
    st.integers(0, 60),
    st.lists(glue | hosts, min_size=1, max_size=3).map("".join),
)
jumbled = st.builds(
    lambda scheme, parts: scheme + "".join(parts),
    st.sampled_from(SCHEMES),
    st.lists(hosts | glue | anything, max_size=6),
)
headers = plausible | spliced | jumbled | anything


def test_the_oracle_covers_what_the_tables_say() -> None:
    for entry, page, matched in matches():
        assert covers(parse_domain(entry).text, page) is matched


@tried
@given(headers)
@example("https://evil.com\\@allowed.com")
@example("https://allowed.com\\@evil.com")
@example("https://[::1].allowed.com")
@example("https://allowed.com%00.evil.com")
@example("https://fass.de")
@example("https://\u212aany.org")
def test_an_allowed_origin_is_one_a_browser_sees_so(header: str) -> None:
    page = read_page(header, None, None)
    if isinstance(page, Origin) and (entry := COMPILED.match(page)):
        assert covers(entry, header.strip(" \t"))


@tried
@given(headers)
@example("https://evil.com\\@allowed.com/")
@example("https://allowed.com\\@evil.com/")
@example("https://allowed.com:443@evil.com/")
@example("https://allowed.com\t.evil.com/")
def test_an_allowed_referer_is_one_a_browser_sees_so(header: str) -> None:
    page = read_page(None, header, None)
    if isinstance(page, Origin) and (entry := COMPILED.match(page)):
        assert covers(entry, header.strip(" \t"))


@tried
@given(plausible)
def test_what_a_browser_would_send_is_allowed_where_covered(header: str) -> None:
    try:
        sent = ada_url.URL(header).origin
    except ValueError:
        return
    page = read_page(sent, None, None)
    assert isinstance(page, Origin)
    assert (COMPILED.match(page) is not None) is any(covers(entry, header) for entry in LISTED)


@tried
@given(headers)
def test_an_origin_is_read_as_a_browser_reads_it_or_not_at_all(header: str) -> None:
    page = read_page(header, None, None)
    if isinstance(page, Origin):
        url = ada_url.URL(header.strip(" \t"))
        assert page.scheme == url.protocol.removesuffix(":")
        assert page.host == url.hostname.removesuffix(".")
        assert str(page.port) == url.port or (not url.port and str(page) in {url.origin, url.origin[:-1]})


@tried
@given(headers, headers, anything | st.none())
def test_reading_a_page_never_raises(origin: str, referer: str, sec_fetch_site: str | None) -> None:
    for page in (
        read_page(origin, referer, sec_fetch_site),
        read_page(None, referer, sec_fetch_site),
        read_page(None, None, sec_fetch_site),
    ):
        assert isinstance(page, (Origin, NoOrigin))


@tried
@given(st.binary(max_size=80) | headers.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_reading_a_page_never_raises_on_bytes_as_wsgi_decodes_them(raw: bytes) -> None:
    text = raw.decode("latin-1")
    for page in (read_page(text, None, None), read_page(None, text, None)):
        assert isinstance(page, (Origin, NoOrigin))


@tried
@given(headers)
def test_an_origin_that_is_present_decides_alone(header: str) -> None:
    assert read_page(header, "https://allowed.com/", "same-origin") == read_page(header, None, None)


@tried
@given(headers)
def test_a_page_written_out_is_read_as_itself(header: str) -> None:
    page = read_page(header, None, None)
    if isinstance(page, Origin):
        assert parse_origin(str(page)) == page
        assert read_page(None, f"{page}/", None) == page


labels = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,10}[a-z0-9_])?", fullmatch=True) | st.sampled_from(
    ["xn--fa-hia", "xn--ls8h", "a--b", "1", "a" * 63]
)
names = st.builds(".".join, st.lists(labels, min_size=1, max_size=4)) | st.sampled_from(
    ["localhost", "127.0.0.1", "allowed.com", "allowed.co.uk"]
)
addresses = st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map("[{}]".format)
port_numbers = st.integers(1, 65535)
origins = st.builds(
    "{}://{}:{}".format, st.sampled_from(["http", "https"]), names | addresses, port_numbers
) | st.builds("{}://{}".format, st.sampled_from(["http", "https"]), names | addresses)


def entry_or_error(read: Callable[[], Entry]) -> Entry | EntryError:
    """Return the entry or the one error that reading may raise."""
    try:
        return read()
    except EntryError as error:
        return error


def parsed(text: str) -> DomainEntry:
    """Return the entry, or leave the example out."""
    entry = entry_or_error(lambda: parse_domain(text))
    return entry if isinstance(entry, DomainEntry) else reject()


@tried
@given(origins)
def test_an_accepted_origin_allows_its_own_origin(text: str) -> None:
    entry = parsed(text)
    page = read_page(text, None, None)
    assert isinstance(page, Origin)
    assert str(page) == entry.text
    assert DomainList([entry.text]).match(page) == entry.text


@tried
@given(names, st.sampled_from(["http", "https"]), port_numbers)
def test_an_accepted_host_allows_its_own_origins(name: str, scheme: str, port: int) -> None:
    entry = parsed(name)
    page = parse_origin(f"{scheme}://{name}:{port}")
    assert page is not None
    assert DomainList([entry.text]).match(page) == entry.text


@tried
@given(origins | names, labels)
def test_a_label_before_or_after_an_allowed_host_refuses(text: str, label: str) -> None:
    entry = parsed(text)
    compiled = DomainList([entry.text])
    scheme, port = entry.scheme or "https", entry.port or 443
    for host in (
        f"{label}.{entry.host}",
        f"{entry.host}.{label}",
        f"{label}{entry.host}",
        f"{entry.host}{label}",
    ):
        page = read_page(f"{scheme}://{host}:{port}", None, None)
        assert not isinstance(page, Origin) or compiled.match(page) is None


@tried
@given(names, st.lists(labels, min_size=1, max_size=3), labels)
def test_a_wildcard_allows_what_is_below_it_alone(name: str, below: list[str], label: str) -> None:
    compiled = DomainList([parsed(f"*.{name}").text])

    def allows(host: str) -> bool:
        page = parse_origin(f"https://{host}")
        return page is not None and compiled.match(page) is not None

    host = ".".join([*below, name])
    assert allows(host) is (parse_origin(f"https://{host}") is not None)
    assert not allows(name)
    assert not allows(f"{label}{name}")
    assert not allows(f"{host}.{label}") or f"{host}.{label}".endswith(f".{name}")


misspelt = (
    headers
    | st.builds("{}{}".format, st.sampled_from(["", "*.", "https://*.", ".", "//", "*", "a.*."]), names)
    | st.builds("{}{}{}".format, origins | names, glue, glue | hosts)
    | st.sampled_from([text for text, *_ in refused(REFUSED_DOMAINS) if isinstance(text, str)])
)
forms = st.sets(st.sampled_from(list(DomainForm)), min_size=1)


@tried
@given(misspelt, forms)
@example("\xad-b\xfccher.de", {DomainForm.HOST})
def test_reading_a_domain_gives_an_entry_or_a_problem_with_good_guesses(
    text: str, allowed: set[DomainForm]
) -> None:
    entry = entry_or_error(lambda: read_domain(text, allowed))
    if isinstance(entry, EntryError):
        assert len(set(entry.guesses)) == len(entry.guesses)
        for guess in entry.guesses:
            assert read_domain(guess, allowed).forms <= allowed
    else:
        assert entry.forms <= allowed
        assert entry.text.isascii()
        assert entry.text == entry.text.lower()
        assert parse_domain(entry.text) == entry
        assert parse_domain(display(entry.text)) == entry
        assert read_domain(entry.text, allowed) == entry


canonical = st.builds(
    "{}{}{}{}".format, st.sampled_from(["", "https://", "http://"]), st.sampled_from(["", "*."]), names, ports
)


@tried
@given(misspelt | canonical)
@example("https://shop.example.com:443")
@example("https://*.shop.example.com:65536")
@example("*.1.com.0x1")
@example("shop.example.com:80")
@example("a." * 126 + "ab")
@example("a." * 126 + "abc")
@example("\uff41.example.com")
def test_the_short_way_to_read_a_stored_domain_is_the_parsers(text: str) -> None:
    for spelt in (text, getattr(entry_or_error(lambda: parse_domain(text)), "text", "")):
        entry = entries.read_canonical(spelt)
        assert entry is None or entry == parse_domain(spelt)


@tried
@given(misspelt)
def test_an_entry_is_the_host_a_browser_makes_of_the_same_text(text: str) -> None:
    entry = parsed(text)
    url = text.strip().rstrip("/")
    url = url if entry.scheme else f"https://{url}"
    host = ada_url.URL(url.replace("*.", "", 1)).hostname.removesuffix(".")
    assert host == entry.host


ip_texts = (
    st.ip_addresses().map(str)
    | st.ip_addresses(v=4).map("::ffff:{}".format)
    | st.builds("{}/{}".format, st.ip_addresses(), st.integers(0, 130))
    | st.builds("::ffff:{}/{}".format, st.ip_addresses(v=4), st.integers(90, 130))
    | st.builds(
        lambda ip, prefix: str(ip_network((ip, prefix), strict=False)),
        st.ip_addresses(v=4),
        st.integers(0, 32),
    )
    | st.builds(
        lambda ip, prefix: str(ip_network((ip, prefix), strict=False)),
        st.ip_addresses(v=6),
        st.integers(0, 128),
    )
)
misspelt_ips = (
    ip_texts
    | st.builds(
        "{}{}".format, ip_texts, glue | st.sampled_from(["/08", "/255.0.0.0", "%eth0", ":80", ".*", "/"])
    )
    | st.text("0123456789abcdefx:./*%[]", max_size=24)
    | anything
    | st.sampled_from([text for text, *_ in refused(REFUSED_IPS) if isinstance(text, str)])
)
ip_forms = st.sets(st.sampled_from(list(IPForm)), min_size=1)


@tried
@given(misspelt_ips, ip_forms, st.booleans())
def test_reading_an_ip_gives_an_entry_or_a_problem_with_good_guesses(
    text: str, allowed: set[IPForm], public_only: bool
) -> None:
    entry = entry_or_error(lambda: read_ip(text, allowed, public_only))
    if isinstance(entry, EntryError):
        assert len(set(entry.guesses)) == len(entry.guesses)
        for guess in entry.guesses:
            assert read_ip(guess, allowed, public_only).form in allowed
    else:
        assert entry.form in allowed
        assert parse_ip(entry.text) == entry
        if public_only:
            assert entry.network.is_global
            assert not entry.network.is_multicast


@tried
@given(misspelt_ips)
@example("203.0.113.0/024")
@example("203.0.113.7/24")
@example("223.255.255.255/32")
@example("224.0.0.1")
@example("7.0.0.0/7")
@example("fe00::/7")
@example("1::/0")
@example("ff02::1")
@example("::ffff:203.0.113.7")
@example("\u0661.2.3.4")
def test_the_short_way_to_read_a_stored_ip_is_the_parsers(text: str) -> None:
    for spelt in (text, getattr(entry_or_error(lambda: parse_ip(text)), "text", "")):
        block = networks.read_canonical(spelt)
        assert block is None or block == networks._block(parse_ip(spelt).network)


@tried
@given(ip_texts, st.ip_addresses())
def test_an_ip_entry_matches_its_own_network_alone(text: str, other: Address) -> None:
    entry = entry_or_error(lambda: parse_ip(text))
    if isinstance(entry, EntryError):
        reject()
    network = entry.network
    compiled = IPList([str(network)])
    first, last = network.network_address, network.broadcast_address
    end = 2**network.max_prefixlen
    beside = [type(first)((int(first) - 1) % end), type(first)((int(last) + 1) % end)]
    for address in (first, last, *beside, other):
        assert compiled.match(address) == (str(network) if address in network else None)


@tried
@given(misspelt_ips)
def test_an_address_is_read_or_is_none(text: str) -> None:
    address = parse_address(text)
    if address is not None:
        assert parse_address(str(address)) == address
        assert getattr(address, "ipv4_mapped", None) is None


MISSING: list[Literal["deny", "allow"]] = ["deny", "allow"]
pages = (
    st.sampled_from(list(NoOrigin))
    | st.sampled_from(LISTED[:5]).map(parse_origin)
    | headers.map(parse_origin)
)


@tried
@given(
    st.sampled_from(list(Condition)),
    st.sampled_from(MISSING),
    pages.filter(bool),
    st.sampled_from(["203.0.113.7", "8.8.8.8", "nonsense"]).map(parse_address),
)
def test_with_both_lists_on_all_allows_no_more_than_the_others(
    condition: Condition, missing: Literal["deny", "allow"], page: Origin | NoOrigin, address: Address | None
) -> None:
    ips = IPList(["203.0.113.7"])
    source = Source(page, lambda: address)
    strict = decide(Policy(COMPILED, ips, Condition.ALL, missing), source)
    other = decide(Policy(COMPILED, ips, condition, missing), source)
    assert other.allowed or not strict.allowed
    assert strict.allowed is (strict.reason is None)


@tried
@given(anything | st.builds("{}{}".format, st.sampled_from(["pk_live_", "sk_test_", "pk_"]), anything))
def test_any_text_is_a_token_or_not(text: str) -> None:
    token = Token.parse(text)
    assert token is None or token.text == text
    assert looks_secret(text) in {True, False}


@tried
@given(anything)
def test_a_pasted_list_loses_nothing_but_blanks_and_commas(text: str) -> None:
    entries = split_pasted(text)
    assert all(entry and entry == entry.strip(" \t\r\n") and "," not in entry for entry in entries)
    assert "".join("".join(entries).split()) == "".join(text.replace(",", "").split())


@pytest.mark.parametrize("length", [1_000, 100_000])
@tried
@given(st.lists(glue | hosts, min_size=1, max_size=4).map("".join))
def test_repeated_text_is_judged_quickly(length: int, pattern: str) -> None:
    text = (pattern * (length // len(pattern) + 1))[:length]

    def judge() -> float:
        started = time.process_time()
        entry_or_error(lambda: read_domain(text, tuple(DomainForm)))
        entry_or_error(lambda: read_ip(text, tuple(IPForm), False))
        read_page(text, None, None)
        read_page(None, f"https://{text}", None)
        return time.process_time() - started

    assert any(judge() < 0.25 for _ in range(20))
