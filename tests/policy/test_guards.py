"""What only saving refuses: wildcards over strangers, forms a recipe lacks, addresses not public."""

from collections.abc import Iterator
from pathlib import Path

import ada_url
import pytest
from publicsuffixlist import PSLFILE

from allowlist.policy.entries import DomainList, parse_domain
from allowlist.policy.guards import covers_strangers, read_domain, read_ip
from allowlist.policy.networks import IPList, parse_ip
from allowlist.policy.problems import EntryError, Problem

from .tables import REFUSED_DOMAINS, REFUSED_IPS

ALL_FORMS = ("origin", "host", "wildcard")
IP_FORMS = ("address", "network")

OVER_STRANGERS = [
    ("*.com", "your-site.com"),
    ("https://*.com", "https://your-site.com"),
    ("https://*.com:8443", "https://your-site.com:8443"),
    ("*.co.uk", "your-site.co.uk"),
    ("*.CO.UK.", "your-site.co.uk"),
    ("*.uk", "your-site.uk"),
    ("*.github.io", "your-site.github.io"),
    ("*.vercel.app", "your-site.vercel.app"),
    ("*.amazonaws.com", "your-site.amazonaws.com"),
    ("*.kawasaki.jp", "your-site.kawasaki.jp"),
    ("*.any.kawasaki.jp", "your-site.any.kawasaki.jp"),
    ("*.\u0440\u0444", "your-site.xn--p1ai"),
    ("*.m\xf8re-og-romsdal.no", "your-site.xn--mre-og-romsdal-qqb.no"),
]
NOT_OVER_STRANGERS = [
    "*.example.com",
    "*.site.github.io",
    "*.example.co.uk",
    "*.city.kawasaki.jp",
    "*.test",
    "*.localhost",
    "*.corp",
    "github.io",
    "https://co.uk",
]


def refusal_of_domain(text: str, *forms: str) -> EntryError:
    with pytest.raises(EntryError) as refusal:
        read_domain(text, forms or ALL_FORMS)
    return refusal.value


@pytest.mark.parametrize(("text", "own_site"), OVER_STRANGERS)
def test_a_wildcard_over_strangers_is_refused(text: str, own_site: str) -> None:
    refusal = refusal_of_domain(text)
    assert (refusal.problem, refusal.guesses[0]) == (Problem.PUBLIC_SUFFIX, own_site)
    # One that was stored before a newer list knew it keeps matching.
    assert DomainList([parse_domain(text).text]).unreadable == ()


@pytest.mark.parametrize("text", NOT_OVER_STRANGERS)
def test_other_entries_near_public_suffixes_are_accepted(text: str) -> None:
    assert read_domain(text, ALL_FORMS).text == text


def names_over_strangers(rule: str) -> Iterator[str]:
    """Yield the names below which different people own names, by a rule of the public-suffix list."""
    host = str(ada_url.URL("https://" + rule.removeprefix("*.")).hostname)
    if rule.startswith("*."):
        yield f"any.{host}"
    labels = host.split(".")
    yield from (".".join(labels[depth:]) for depth in range(len(labels)))


def test_every_rule_of_the_public_suffix_list_is_known() -> None:
    lines = Path(PSLFILE).read_text(encoding="utf-8").splitlines()
    rules = [line.split()[0] for line in lines if line.strip() and not line.startswith("//")]
    exceptions = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    names = {name for rule in rules if rule[0] != "!" for name in names_over_strangers(rule)}
    assert [name for name in sorted(names) if not covers_strangers(name)] == []
    assert [name for name in exceptions if covers_strangers(name)] == []
    assert len(names) > 5000


WRONG_DOMAIN_FORMS = [
    ("https://example.com", "host", ("example.com",)),
    ("https://example.com:8443", "host", ("example.com",)),
    ("https://*.example.com", "host", ("example.com",)),
    ("*.example.com", "host", ("example.com",)),
    ("http://intranet", "host", ()),
    ("example.com", "origin", ("https://example.com", "http://example.com")),
    ("*.example.com", "origin", ("https://example.com", "http://example.com")),
    ("https://*.example.com", "origin", ("https://example.com", "http://example.com")),
    ("*.example.com", "origin wildcard", None),
    ("example.com", "origin wildcard", ("https://example.com", "http://example.com")),
    ("https://*.example.com:1", "host wildcard", ("*.example.com", "example.com")),
    ("https://*.example.com", "wildcard", ("*.example.com",)),
    ("example.com", "wildcard", ()),
    ("https://example.com", "origin", None),
    ("example.com", "host", None),
    ("https://*.example.com", "origin wildcard", None),
]


@pytest.mark.parametrize(("text", "forms", "guesses"), WRONG_DOMAIN_FORMS)
def test_a_form_the_recipe_lacks_is_refused_with_the_allowed_spelling(
    text: str, forms: str, guesses: tuple[str, ...] | None
) -> None:
    if guesses is None:
        assert read_domain(text, forms.split()).text == text
        return
    refusal = refusal_of_domain(text, *forms.split())
    assert (refusal.problem, refusal.guesses) == (Problem.DOMAIN_FORM, guesses)
    assert DomainList([text]).unreadable == ()


@pytest.mark.parametrize(
    ("text", "forms", "problem", "guesses"),
    [
        ("https://example.com/path", "host", Problem.PATH, ("example.com",)),
        ("example.com/path", "origin", Problem.PATH, ("https://example.com", "http://example.com")),
        ("me@example.com", "host", Problem.USERINFO, ("example.com",)),
        (".example.com", "host", Problem.LEADING_DOT, ("example.com",)),
        ("localhost:3000", "host", Problem.HOST_PORT, ("localhost",)),
        ("*.github.io", "host", Problem.PUBLIC_SUFFIX, ("your-site.github.io",)),
        ("intranet", "host", Problem.SINGLE_LABEL, ()),
        ("a.*.example.com", "origin", Problem.WILDCARD, ("https://example.com", "http://example.com")),
    ],
)
def test_guesses_are_told_in_the_spelling_the_recipe_allows(
    text: str, forms: str, problem: Problem, guesses: tuple[str, ...]
) -> None:
    refusal = refusal_of_domain(text, *forms.split())
    assert (refusal.problem, refusal.guesses) == (problem, guesses)


@pytest.mark.parametrize(
    ("text", "form", "problem", "guesses"),
    [
        ("203.0.113.0/24", "address", Problem.IP_FORM, ()),
        ("2001:db8::/32", "address", Problem.IP_FORM, ()),
        ("203.0.113.7", "network", Problem.IP_FORM, ()),
        ("203.0.113.7/24", "address", Problem.HOST_BITS, ()),
        ("203.0.113.*", "address", Problem.IP_WILDCARD, ()),
        ("203.0.113.7:80", "network", Problem.IP_PORT, ()),
    ],
)
def test_an_ip_form_the_recipe_lacks_is_refused(
    text: str, form: str, problem: Problem, guesses: tuple[str, ...]
) -> None:
    with pytest.raises(EntryError) as refusal:
        read_ip(text, (form,), False)
    assert (refusal.value.problem, refusal.value.guesses) == (problem, guesses)


def test_a_network_of_one_address_is_an_address() -> None:
    assert read_ip("203.0.113.7/32", ("address",), False).text == "203.0.113.7"


NOT_PUBLIC = [
    *("0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "169.254.1.1", "172.16.0.1", "192.0.0.1"),
    *("192.0.2.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.7", "240.0.0.1"),
    *("::1", "::203.0.113.7", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::7", "2002::1", "3fff::1"),
    *("5f00::1", "fc00::1", "fd12::1", "fe80::1", "fec0::1", "::ffff:10.0.0.1", "::ffff:203.0.113.7"),
    *("10.0.0.0/8", "192.168.0.0/24", "fd00::/8", "2001:db8::/32"),
    # Networks that hold private ones besides public ones.
    *("172.0.0.0/8", "192.0.0.0/8", "198.0.0.0/8", "169.254.0.0/15", "203.0.112.0/23", "240.0.0.0/8"),
    *("2000::/3", "2001::/16", "::/1", "8000::/1", "fe00::/7", "::/3"),
]  # fmt: skip
PUBLIC = [
    *("8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0"),
    *("198.17.255.255", "198.20.0.0", "223.255.255.255", "203.0.112.255", "203.0.114.0", "::ffff:8.8.8.8"),
    *("2606:4700::1111", "2a00::1", "2001:200::1", "2001:db7::1", "2003::1", "64:ff9b::8.8.8.8"),
    *("8.0.0.0/8", "203.0.114.0/24", "2606:4700::/32", "2001:200::/23", "2400::/6"),
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_what_is_not_wholly_public_is_refused_where_asked_for(text: str) -> None:
    with pytest.raises(EntryError) as refusal:
        read_ip(text, IP_FORMS, True)
    assert refusal.value.problem is Problem.NOT_PUBLIC
    assert refusal.value.guesses == ()


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_what_is_not_public_is_accepted_by_default_and_keeps_matching(text: str) -> None:
    assert IPList([read_ip(text, IP_FORMS, False).text]).unreadable == ()


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is_wholly_public_is_accepted(text: str) -> None:
    assert read_ip(text, IP_FORMS, True) == parse_ip(text)


@pytest.mark.parametrize("text", ["224.0.0.1", "233.252.0.1", "ff0e::1", "ff00::/8"])
def test_multicast_is_never_public(text: str) -> None:
    with pytest.raises(EntryError) as refusal:
        read_ip(text, IP_FORMS, True)
    assert refusal.value.problem is Problem.MULTICAST


def test_a_private_network_is_not_offered_where_public_ones_are_asked_for() -> None:
    with pytest.raises(EntryError) as refusal:
        read_ip("10.1.2.3/8", IP_FORMS, True)
    assert (refusal.value.problem, refusal.value.guesses) == (Problem.HOST_BITS, ())


def test_offers_come_once_and_in_order() -> None:
    assert refusal_of_domain("https://.example.com", "host").guesses == ("example.com",)


def test_every_problem_is_in_a_table() -> None:
    here = {Problem.PUBLIC_SUFFIX, Problem.DOMAIN_FORM, Problem.IP_FORM, Problem.NOT_PUBLIC}
    assert {*REFUSED_DOMAINS, *REFUSED_IPS, *here} == set(Problem)
