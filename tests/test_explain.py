"""``key.explain()`` says what a real request gets, from the same code that decides."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client, override_settings
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from allowlist.models import APIKey
from allowlist.validators import near_sentence
from tests.conftest import User
from tests.management import Api

pytestmark = pytest.mark.django_db

ORIGINS = [
    None,
    "https://example.com",
    "http://example.com",
    "https://www.example.com",
    "https://evil.example",
    "null",
    "",
    "https://example.com/path",
]
REFERERS = [None, "https://example.com/page?q=1", "https://evil.example/", "nothing"]
SITES = [None, "cross-site"]
ADDRESSES = ["203.0.113.7", "203.0.113.8", "2001:db8::1"]
DOMAINS = [None, [], ["example.com"], ["https://example.com", "*.example.com"]]
IPS = [None, [], ["203.0.113.7"], ["203.0.113.0/24", "2001:db8::/32"]]


def real(token: str, headers: dict[str, Any], ip: str) -> tuple[bool, str | None]:
    """Send a request; return whether it is served, and why it is refused."""
    sent = {name: value for name, value in headers.items() if value is not None}
    response = Client().get("/widget/alone/", headers={"X-API-Key": token, **sent}, REMOTE_ADDR=ip)
    return response.status_code == 200, response.json().get("reason")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(data=st.data())
def test_it_agrees_with_a_real_request(creator: User, data: st.DataObject) -> None:
    def pick(values: Any) -> Any:
        return data.draw(st.sampled_from(values))

    conf = {"EMPTY_LIST": pick(["deny", "allow"]), "MISSING_ORIGIN": pick(["deny", "allow"])}
    with override_settings(ALLOWLIST={**conf, "ENVIRONMENTS": pick([("live", "test"), ("live",)])}):
        kind, domains, ips = pick(["publishable", "secret"]), pick(DOMAINS), pick(IPS)
        key, token = APIKey.objects.create_key(
            name="Widget",
            creator=creator,
            kind=kind,
            environment=pick(["live", "live", "test"]),
            condition=pick(["all", "any", "by_source"]),
            enforcement=pick(["enforce", "report"]),
            expires_at=pick([None, None, timezone.now() - timedelta(days=1)]),
        )
        if domains is not None and kind == "publishable":
            key.restrict_domains(domains)
        if ips is not None:
            key.restrict_ips(ips)
        if pick([False, False, True]):
            key.revoke()
        headers = {
            "Origin": pick(ORIGINS),
            "Referer": pick(REFERERS),
            "Sec-Fetch-Site": pick(SITES),
        }
        ip = pick(ADDRESSES)
        found = key.explain(headers["Origin"], headers["Referer"], headers["Sec-Fetch-Site"], ip)
        served, reason = real(token, headers, ip)
        assert found.served == served
        assert found.allowed == (found.reason is None)
        if not served:
            assert found.reason == reason


@pytest.fixture
def key(creator: User) -> APIKey:
    """Return a key with both lists."""
    return APIKey.objects.create_key(
        name="Widget", creator=creator, allowed_domains=[("Shop", "example.com")], allowed_ips=["203.0.113.7"]
    )[0]


def test_it_reads_the_key_and_its_lists_again(key: APIKey) -> None:
    row = APIKey.objects.get()
    row.add_domains(["www.example.com"])
    row.allow_all_ips()
    assert key.explain(origin="https://www.example.com").allowed


def test_it_shows_what_was_read_and_what_comes_near(key: APIKey) -> None:
    found = key.explain(origin="HTTPS://www.Example.com:443", ip="::ffff:203.0.113.8")
    assert (found.page, found.ip, found.key_status) == ("https://www.example.com", "203.0.113.8", "active")
    assert [verdict.nearest[0].suggestion for verdict in found.rules] == ["www.example.com", "203.0.113.8"]
    assert found.rules[0].nearest[0].name == "Shop"
    assert key.explain(sec_fetch_site="cross-site").page == "hidden"
    assert key.explain().page == "absent"


def test_a_key_that_does_not_work_still_gets_its_rules(key: APIKey) -> None:
    with override_settings(ALLOWLIST={"ENVIRONMENTS": ("test",)}):
        assert key.explain().key_status == "environment"
    key.expires_at = timezone.now() - timedelta(days=1)
    key.save()
    assert key.explain().key_status == "expired"
    key.revoke()
    found = key.explain(origin="https://evil.example", ip="203.0.113.7")
    assert (found.key_status, found.reason, found.served) == ("revoked", "key_invalid", False)
    assert [verdict.passed for verdict in found.rules] == [False, True]


def test_what_the_settings_or_the_limit_refuse_is_not_suggested(key: APIKey) -> None:
    for refusing in ({"MAX_DOMAINS": 1}, {"DOMAIN_FORMS": ("origin",)}, {"DOMAIN_MODES": ("all",)}):
        with override_settings(ALLOWLIST=refusing):
            assert key.explain(origin="https://www.example.com").rules[0].nearest[0].suggestion is None


def test_an_unreadable_address_is_a_value_error(key: APIKey) -> None:
    for ip in ("", "unknown", "203.0.113.7:80", "203.0.113.0/24"):
        with pytest.raises(ValueError, match="isn't an IP address"):
            key.explain(ip=ip)


WWW = "https://www.example.com"
SENTENCES = {
    "expired": ("https://old.example", "matches “old.example”, but that entry has expired."),
    "scheme": ("http://pay.example", "“https://pay.example” is, but its scheme (http or https) differs."),
    "port": ("https://pay.example:8443", "“https://pay.example” is, but its port differs."),
    "subdomain": (WWW, "“example.com” is, but it doesn't cover its subdomains. Add “www.example.com”?"),
    "parent": ("https://shop.test", "“*.shop.test” is, but it doesn't cover the domain above it."),
    "typo": ("https://exampel.com", "“example.com” is, and looks similar. Check the spelling."),
}


@pytest.mark.parametrize("difference", SENTENCES)
def test_each_difference_is_a_sentence(key: APIKey, difference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    end = timezone.now() + timedelta(days=1)
    old = {"domain": "old.example", "expires_at": end}
    key.add_domains(["https://pay.example", "*.shop.test", old])
    monkeypatch.setattr("django.utils.timezone.now", lambda: end)
    page, sentence = SENTENCES[difference]
    near = key.explain(origin=page).rules[0].nearest[0]
    assert near.difference == difference
    assert sentence in near_sentence(near, page)


def test_a_sentence_about_an_address_and_one_without_a_suggestion(key: APIKey) -> None:
    (near,) = key.explain(origin="https://example.com", ip="203.0.113.8").rules[1].nearest
    assert "in the same network" in near_sentence(near, "203.0.113.8")
    with override_settings(ALLOWLIST={"MAX_DOMAINS": 1}):
        (near,) = key.explain(origin=WWW).rules[0].nearest
        assert near_sentence(near, WWW) == (
            f"“{WWW}” isn't listed. “example.com” is, but it doesn't cover its subdomains."
        )


class TestAPI:
    def check(self, api: Api, key: APIKey, body: Any) -> Any:
        """Return what the API explains."""
        return api.ok("POST", f"keys/{key.pk}/check/", body)

    def test_it_shows_the_whole_explanation_with_message_and_hint(self, creator: User, key: APIKey) -> None:
        shown = self.check(Api(creator), key, {"origin": WWW, "ip": "203.0.113.7"})
        domain, ip = shown.pop("rules")
        assert shown == {
            "allowed": False,
            "reason": "origin_not_listed",
            "served": False,
            "key_status": "active",
            "page": WWW,
            "ip": "203.0.113.7",
            "message": (
                "Permission denied. Check your security settings and ensure your domain is allowlisted."
            ),
            "hint": (
                "Add this origin to the key's allowed domains. An entry doesn't cover subdomains "
                "such as www, and one for https:// doesn't cover http://."
            ),
        }
        assert domain == {
            "rule": "domain",
            "applies": True,
            "passed": False,
            "reason": "origin_not_listed",
            "entry": None,
            "nearest": [
                {
                    "entry": "example.com",
                    "name": "Shop",
                    "difference": "subdomain",
                    "suggestion": "www.example.com",
                }
            ],
        }
        assert (ip["rule"], ip["passed"], ip["entry"]) == ("ip", True, "203.0.113.7")

    def test_the_address_is_the_caller_s_unless_one_is_given(self, creator: User, key: APIKey) -> None:
        api, page = Api(creator), {"origin": "https://example.com"}
        assert self.check(api, key, page)["ip"] == "127.0.0.1"
        assert self.check(api, key, {**page, "ip": None})["reason"] == "ip_unknown"
        allowed = self.check(api, key, {**page, "ip": "203.0.113.7"})
        assert (allowed["allowed"], allowed["message"], allowed["hint"]) == (True, None, None)

    @pytest.mark.parametrize(
        "body",
        [
            {"ip": "nowhere"},
            {"ip": ""},
            {"origin": "a\0b"},
            {"referer": ["https://example.com"]},
            {"sec_fetch_site": "\ud800"},
            {"orgin": "https://example.com"},
        ],
    )
    def test_a_wrong_value_is_a_400_by_field(self, creator: User, key: APIKey, body: Any) -> None:
        assert list(Api(creator).refused("POST", f"keys/{key.pk}/check/", body)) == list(body)
