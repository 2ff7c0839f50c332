"""How a request is decided: every condition, with every list on or off, for every kind of source."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Literal

import pytest

from allowlist.policy.decision import (
    ALLOWED,
    REFUSALS,
    Condition,
    Decision,
    Mode,
    Policy,
    Reason,
    Rule,
    Source,
    decide,
)
from allowlist.policy.entries import DomainList
from allowlist.policy.networks import Address, IPList, parse_address
from allowlist.policy.origins import NoOrigin, Origin

PAGES: dict[str, Origin | NoOrigin] = {
    "listed": Origin("https", "listed.com", 443),
    "unlisted": Origin("https", "unlisted.com", 443),
    "opaque": NoOrigin.OPAQUE,
    "malformed": NoOrigin.MALFORMED,
    "hidden": NoOrigin.HIDDEN,
    "absent-deny": NoOrigin.ABSENT,
    "absent-allow": NoOrigin.ABSENT,
}
ADDRESSES = {"listed": parse_address("203.0.113.7"), "unlisted": parse_address("8.8.8.8"), "unknown": None}
LISTS_ON = {"none": (False, False), "domains": (True, False), "ips": (False, True), "both": (True, True)}

# "absent-deny" and "absent-allow" are a server under that MISSING_ORIGIN; "any" stands for every
# page without a row of its own. The last three columns are the answers by the address.
TABLE = """
condition  lists    page          listed               unlisted             unknown

all        none     any           allowed              allowed              allowed

all        domains  listed        allowed              allowed              allowed
all        domains  unlisted      origin_not_listed    origin_not_listed    origin_not_listed
all        domains  opaque        origin_opaque        origin_opaque        origin_opaque
all        domains  malformed     origin_malformed     origin_malformed     origin_malformed
all        domains  hidden        origin_hidden        origin_hidden        origin_hidden
all        domains  absent-deny   origin_missing       origin_missing       origin_missing
all        domains  absent-allow  allowed              allowed              allowed

all        ips      any           allowed              ip_not_listed        ip_unknown

all        both     listed        allowed              ip_not_listed        ip_unknown
all        both     unlisted      origin_not_listed    origin_not_listed    origin_not_listed
all        both     opaque        origin_opaque        origin_opaque        origin_opaque
all        both     malformed     origin_malformed     origin_malformed     origin_malformed
all        both     hidden        origin_hidden        origin_hidden        origin_hidden
all        both     absent-deny   origin_missing       origin_missing       origin_missing
all        both     absent-allow  allowed              ip_not_listed        ip_unknown

any        none     any           allowed              allowed              allowed

any        domains  listed        allowed              allowed              allowed
any        domains  unlisted      origin_not_listed    origin_not_listed    origin_not_listed
any        domains  opaque        origin_opaque        origin_opaque        origin_opaque
any        domains  malformed     origin_malformed     origin_malformed     origin_malformed
any        domains  hidden        origin_hidden        origin_hidden        origin_hidden
any        domains  absent-deny   origin_missing       origin_missing       origin_missing
any        domains  absent-allow  allowed              allowed              allowed

any        ips      any           allowed              ip_not_listed        ip_unknown

any        both     listed        allowed              allowed              allowed
any        both     unlisted      allowed              origin_not_listed    origin_not_listed
any        both     opaque        allowed              origin_opaque        origin_opaque
any        both     malformed     allowed              origin_malformed     origin_malformed
any        both     hidden        allowed              origin_hidden        origin_hidden
any        both     absent-deny   allowed              ip_not_listed        ip_unknown
any        both     absent-allow  allowed              ip_not_listed        ip_unknown

by_source  none     any           allowed              allowed              allowed

by_source  domains  listed        allowed              allowed              allowed
by_source  domains  unlisted      origin_not_listed    origin_not_listed    origin_not_listed
by_source  domains  opaque        origin_opaque        origin_opaque        origin_opaque
by_source  domains  malformed     origin_malformed     origin_malformed     origin_malformed
by_source  domains  hidden        origin_hidden        origin_hidden        origin_hidden
by_source  domains  absent-deny   server_not_allowed   server_not_allowed   server_not_allowed
by_source  domains  absent-allow  server_not_allowed   server_not_allowed   server_not_allowed

by_source  ips      any           browser_not_allowed  browser_not_allowed  browser_not_allowed
by_source  ips      absent-deny   allowed              ip_not_listed        ip_unknown
by_source  ips      absent-allow  allowed              ip_not_listed        ip_unknown

by_source  both     listed        allowed              allowed              allowed
by_source  both     unlisted      origin_not_listed    origin_not_listed    origin_not_listed
by_source  both     opaque        origin_opaque        origin_opaque        origin_opaque
by_source  both     malformed     origin_malformed     origin_malformed     origin_malformed
by_source  both     hidden        origin_hidden        origin_hidden        origin_hidden
by_source  both     absent-deny   allowed              ip_not_listed        ip_unknown
by_source  both     absent-allow  allowed              ip_not_listed        ip_unknown
"""
Case = tuple[str, str, str, str, str]


def rows() -> Iterator[list[str]]:
    """Yield the table's rows, without its heading."""
    lines = [line.split() for line in TABLE.splitlines() if line]
    yield from lines[1:]


def cases() -> Iterator[Case]:
    """Yield condition, lists, page, address and outcome of every case of the table."""
    given = {(condition, lists, page) for condition, lists, page, *_ in rows()}
    for condition, lists, of_page, *answers in rows():
        others = [page for page in PAGES if (condition, lists, page) not in given]
        for page in others if of_page == "any" else [of_page]:
            for address, answer in zip(ADDRESSES, answers, strict=True):
                yield condition, lists, page, address, answer


def policy(
    condition: str, lists: str, missing_origin: Literal["deny", "allow"] = "deny", empty: bool = False
) -> Policy:
    domains_on, ips_on = LISTS_ON[lists]
    return Policy(
        domains=DomainList([] if empty else ["https://listed.com"]) if domains_on else None,
        ips=IPList([] if empty else ["203.0.113.0/24"]) if ips_on else None,
        condition=Condition(condition),
        missing_origin=missing_origin,
    )


def source(page: str, address: str) -> Source:
    return Source(PAGES[page], lambda: ADDRESSES[address])


def missing_origins(page: str) -> list[Literal["deny", "allow"]]:
    """Return the settings under which a page's row holds: both, but for a missing origin."""
    if page == "absent-deny":
        return ["deny"]
    return ["allow"] if page == "absent-allow" else ["deny", "allow"]


@pytest.mark.parametrize(
    ("condition", "lists", "page", "address", "answer"),
    [pytest.param(*case, id="{}-{}-on-page-{}-address-{}-is-{}".format(*case)) for case in cases()],
)
def test_the_table_decides(condition: str, lists: str, page: str, address: str, answer: str) -> None:
    for missing_origin in missing_origins(page):
        decision = decide(policy(condition, lists, missing_origin), source(page, address))
        assert decision.allowed is (answer == "allowed")
        assert decision.reason == (None if answer == "allowed" else answer)
        if not decision.allowed:
            assert decision.entry is None


def test_the_table_has_every_case_once() -> None:
    given = [case[:4] for case in cases()]
    assert sorted(given) == sorted(itertools.product(map(str, Condition), LISTS_ON, PAGES, ADDRESSES))


def test_the_table_has_every_reason_a_policy_gives() -> None:
    reasons = {Reason(case[4]) for case in cases() if case[4] != "allowed"}
    assert reasons == {reason for reason in Reason if reason.rule in {Rule.DOMAIN, Rule.IP}}


@pytest.mark.parametrize(
    ("condition", "lists", "page", "address", "entry"),
    [
        ("all", "none", "listed", "listed", None),
        ("all", "domains", "listed", "listed", "https://listed.com"),
        ("all", "ips", "listed", "listed", "203.0.113.0/24"),
        ("all", "both", "listed", "listed", "https://listed.com"),
        ("all", "both", "absent-allow", "listed", "203.0.113.0/24"),
        ("all", "domains", "absent-allow", "listed", None),
        ("any", "both", "listed", "unlisted", "https://listed.com"),
        ("any", "both", "unlisted", "listed", "203.0.113.0/24"),
        ("any", "both", "listed", "listed", "https://listed.com"),
        ("by_source", "both", "listed", "listed", "https://listed.com"),
        ("by_source", "both", "absent-deny", "listed", "203.0.113.0/24"),
    ],
)
def test_the_entry_that_matched_is_returned(
    condition: str, lists: str, page: str, address: str, entry: str | None
) -> None:
    for missing_origin in missing_origins(page):
        decision = decide(policy(condition, lists, missing_origin), source(page, address))
        assert (decision.allowed, decision.reason, decision.entry) == (True, None, entry)


@pytest.mark.parametrize(
    ("condition", "lists", "page", "address", "answer"),
    [
        ("all", "domains", "listed", "listed", "origin_not_listed"),
        ("all", "ips", "listed", "listed", "ip_not_listed"),
        ("any", "both", "listed", "listed", "origin_not_listed"),
        ("any", "both", "absent-deny", "listed", "ip_not_listed"),
        ("by_source", "both", "absent-deny", "listed", "ip_not_listed"),
    ],
)
def test_an_empty_list_that_is_on_matches_nothing(
    condition: str, lists: str, page: str, address: str, answer: str
) -> None:
    assert decide(policy(condition, lists, empty=True), source(page, address)).reason == answer


@pytest.mark.parametrize(
    ("condition", "lists", "page", "asks"),
    [
        ("all", "none", "listed", False),
        ("all", "domains", "listed", False),
        ("all", "ips", "listed", True),
        ("all", "both", "unlisted", False),
        ("all", "both", "listed", True),
        ("any", "domains", "unlisted", False),
        ("any", "both", "listed", False),
        ("any", "both", "unlisted", True),
        ("by_source", "none", "absent-deny", False),
        ("by_source", "both", "listed", False),
        ("by_source", "both", "absent-deny", True),
        ("by_source", "domains", "absent-deny", False),
    ],
)
def test_the_address_is_worked_out_only_when_a_rule_asks(
    condition: str, lists: str, page: str, asks: bool
) -> None:
    asked = []

    def read_address() -> Address | None:
        asked.append(True)
        return None

    decide(policy(condition, lists), Source(PAGES[page], read_address))
    assert asked == [True] * asks


@pytest.mark.parametrize(("name", "page"), PAGES.items())
def test_a_browser_is_anything_but_absent(name: str, page: Origin | NoOrigin) -> None:
    assert Source(page, lambda: None).is_browser is not name.startswith("absent")


BY_ORIGIN = "origin_not_listed origin_missing origin_opaque origin_malformed origin_hidden"


@pytest.mark.parametrize(
    ("rule", "reasons"),
    [
        (Rule.DOMAIN, f"{BY_ORIGIN} server_not_allowed"),
        (Rule.IP, "ip_not_listed ip_unknown browser_not_allowed"),
        (Rule.KEY, "key_missing key_invalid key_in_url secret_key_in_browser embed_token_invalid"),
        (Rule.ERROR, "undecided"),
    ],
)
def test_a_reason_names_the_rule_that_refused(rule: Rule, reasons: str) -> None:
    assert {str(reason) for reason in Reason if reason.rule is rule} == set(reasons.split())


def test_there_is_a_refusal_for_every_reason_and_none_allows() -> None:
    assert {reason: (decision.allowed, decision.reason) for reason, decision in REFUSALS.items()} == {
        reason: (False, reason) for reason in Reason
    }
    assert Decision(True, None, None) == ALLOWED


def test_an_error_while_the_address_is_read_is_never_an_allow() -> None:
    def read_address() -> Address | None:
        raise RuntimeError

    for condition in Condition:
        with pytest.raises(RuntimeError):
            decide(policy(condition, "ips"), Source(NoOrigin.ABSENT, read_address))


@pytest.mark.parametrize(
    "make",
    [lambda: ALLOWED, lambda: policy("all", "both"), lambda: source("listed", "listed")],
    ids=["decision", "policy", "source"],
)
def test_values_cannot_be_changed(make: Callable[[], Decision | Policy | Source]) -> None:
    value = make()
    for field in dataclasses.fields(value):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, None)


def test_modes_are_named_as_users_type_them() -> None:
    assert [str(mode) for mode in Mode] == ["all", "listed"]
    assert [str(condition) for condition in Condition] == ["all", "any", "by_source"]
