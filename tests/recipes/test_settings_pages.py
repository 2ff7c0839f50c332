"""Each product's own settings page, played by the creator's pages: what its page says is on ours."""

from typing import Any

import pytest

from allowlist.models import APIKey
from tests.pages import Page, Security, rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(creator: Any) -> Security:
    """Return the creator's pages."""
    return Security(creator)


@pytest.fixture
def key(creator: Any) -> APIKey:
    """Return a key as the product creates it."""
    return APIKey.objects.create_key(name="Website", creator=creator)[0]


SHOWN = {
    "impler": [
        "Widget Security",
        "Allowed Domains",
        "Type a domain such as https://yourapp.com and press Enter to add it.",
        "Only http:// and https:// origins are accepted.",
        "Only the project creator can update the allowed domains list.",
        "While the list is empty, every domain is allowed.",
        "Save Domains",
    ],
    "innkept": [
        "Add domains, one per line. Use the bare hostname: no protocol, no path.",
        "Click the key you want to restrict. A key without an allowlist works on all domains.",
        "*.example.com matches www.example.com, but not example.com itself.",
        "While the list is empty, every domain is allowed.",
        "Never used",
        "Save",
    ],
    "security-page": [
        "Security",
        "Use the domain list for web browsers, and the IP list for servers.",
        "Allow all domains",
        "Allow only listed domains",
        "Allow only listed IPs",
        "Entries have no effect while “Allow all domains” is selected. Selecting it deletes them.",
        "0 of 25",
        "Name",
        "Domain",
        "Add",
        "Save Changes",
    ],
    "token-access": [
        "You can add up to 5 allowed domains, such as example.com.",
        "If only the domain list is enabled, back end requests will not work.",
        "You can add up to 5 allowed IP addresses.",
        "Use your server's public static IP address, not an internal or dynamic one.",
        "If the restriction is enabled but no IP address is added, all back end requests are blocked.",
        "If only the IP list is enabled, front end requests will not work.",
        "0 of 5",
    ],
    "mimicbot": [
        "Allowed origins",
        "An origin is scheme://host[:port].",
        "you need both entries.",
        "For local development, add http://localhost:PORT.",
        "While the list is empty, no domain is allowed.",
    ],
}
HIDDEN = {
    "impler": ["Allowed IPs", "Allow all domains", "Domain or IP can match", "Create an API key"],
    "innkept": ["Allowed IPs", "Allow all domains", "Domain or IP can match"],
    "security-page": ["Browsers by domain, servers by IP"],
    "token-access": ["Domain and IP must both match", "Browsers by domain, servers by IP"],
    "mimicbot": ["Allowed IPs", "Allow all domains", "Domain or IP can match", "Create an API key"],
}


@pytest.mark.parametrize("name", [pytest.param(each, marks=pytest.mark.recipe(each)) for each in SHOWN])
def test_a_settings_page_says_what_its_product_s_says(site: Security, key: APIKey, name: str) -> None:
    text = " ".join((site.get("").text + site.get(f"{key.pk}/").text).split())
    assert [each for each in SHOWN[name] if each not in text] == []
    assert [each for each in HIDDEN[name] if each in text] == []
    assert "Log out" in text  # It is in the product's own layout.


@pytest.mark.recipe("impler")
def test_impler_domains_are_typed_saved_and_cleared(site: Security, key: APIKey) -> None:
    fields = rows(site.get(f"{key.pk}/").fields, "allowed_domains", ("", "https://yourapp.com/"))
    page = site.saved(f"{key.pk}/", fields)
    assert page.fields["allowed_domains-0-domain"] == "https://yourapp.com"
    page = site.saved(f"{key.pk}/", {**page.fields, "allowed_domains-0-DELETE": "on"})
    assert "While the list is empty, every domain is allowed." in page.text


@pytest.mark.recipe("impler")
def test_impler_members_are_sent_to_the_project_owner(key: APIKey, stranger: Any) -> None:
    page = Security(stranger).get(f"{key.pk}/", 404)
    assert "Project not found" in page.text
    assert "If you are a team member, contact the project owner." in page.text


@pytest.mark.recipe("innkept")
def test_innkept_domains_are_added_one_per_line(site: Security, key: APIKey) -> None:
    page = site.get("")
    assert f"/security/{key.pk}/" in page.links  # "Click the key you want to restrict."
    fields = site.get(f"{key.pk}/").fields
    site.saved(f"{key.pk}/", {**fields, "paste_domains": "example.com\n*.example.com\n"})
    assert [entry.text for entry in key.allowed_domains.all()] == ["example.com", "*.example.com"]
    page = site.refused(f"{key.pk}/", {**fields, "paste_domains": "https://example.com/book"})
    assert "Did you mean “example.com”?" in page.errors[0]


@pytest.mark.recipe("security-page")
def test_security_page_toggles_rows_condition_and_reset(site: Security, key: APIKey) -> None:
    fields = {**site.get(f"{key.pk}/").fields, "domain_mode": "listed"}
    assert site.refused(f"{key.pk}/", fields).errors[0].startswith("“Allow only listed domains” needs")
    fields = rows(fields, "allowed_domains", ("Shop", "shop.example.com"))
    page = site.saved(f"{key.pk}/", rows({**fields, "ip_mode": "listed"}, "allowed_ips", ("Office", "::1")))
    assert page.fields["condition"] == "all"
    page = site.saved(f"{key.pk}/", {**page.fields, "condition": "any"})
    assert (page.fields["condition"], page.fields["allowed_domains-0-name"]) == ("any", "Shop")
    asked = Page(site.send(f"{key.pk}/", {**page.fields, "domain_mode": "all"}).content.decode())
    page = site.saved(f"{key.pk}/", asked.fields)
    assert (page.fields["allowed_domains-INITIAL_FORMS"], "condition" in page.fields) == ("0", False)


@pytest.mark.recipe("token-access")
def test_token_access_takes_five_public_addresses(site: Security, key: APIKey) -> None:
    fields = {**site.get(f"{key.pk}/").fields, "ip_mode": "listed"}
    page = site.saved(f"{key.pk}/", fields)
    assert "While the list is empty, no IP address is allowed." in page.text
    page = site.refused(f"{key.pk}/", {**page.fields, "paste_ips": "192.168.1.1"})
    assert "is private or reserved" in page.errors[0]
    six = "\n".join(f"93.184.216.{number}" for number in range(6))
    page = site.refused(f"{key.pk}/", {**page.fields, "paste_ips": six})
    assert page.errors == ["A key can list at most 5 IP addresses. This would make 6."]


@pytest.mark.recipe("mimicbot")
def test_mimicbot_origins_are_exact(site: Security, key: APIKey) -> None:
    fields = site.get(f"{key.pk}/").fields
    page = site.saved(f"{key.pk}/", {**fields, "paste_domains": "https://acme-site.com"})
    assert "doesn't match https://www.acme-site.com. Do you use that too?" in page.messages[-1]
    assert site.refused(f"{key.pk}/", {**fields, "paste_domains": "*.acme.example"}).errors


@pytest.mark.recipe("mimicbot")
def test_mimicbot_shows_the_url_of_the_public_config(site: Security, key: APIKey) -> None:
    page = site.get(f"{key.pk}/token/")
    assert f"http://testserver/v1/public/bots/{key.token}/config" in page.text
