"""What the people around a key do in the admin, in a real browser and under a strict policy."""

import os
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.browser import strict_settings
from tests.browser.person import PICTURES, Person
from tests.demo_server import PATIENCE, Demo, free_port, running_demo

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium")]

PAGE_KEY = "Demo: web pages"
ALIVE = "Design your desk"
REFUSED = "This configurator isn't authorised on this domain."
UNKNOWN = "This configurator's key doesn't work."
STAY = "Save and continue editing"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Return one demo for all tests of this module."""
    folder = tmp_path_factory.mktemp("demo")
    port = 8000 if PICTURES in os.environ else free_port()
    with running_demo(folder, port, settings=strict_settings.__name__) as demo:
        with urlopen(demo.url("localhost", "/admin/login/"), timeout=PATIENCE) as response:
            assert response.headers["Content-Security-Policy"] == strict_settings.POLICY
        yield demo


@pytest.fixture(scope="module")
def visitor(demo: Demo, chromium: Chrome) -> Person:
    """Return someone who is logged in to the admin for all tests of this module."""
    chromium.execute_cdp_cmd("Network.clearBrowserCookies", {})
    person = Person(chromium, demo)
    person.log_in()
    return person


@pytest.fixture
def person(visitor: Person) -> Iterator[Person]:
    """Return the person. Nothing that they see violates the policy."""
    visitor.complaints()
    yield visitor
    assert visitor.complaints() == []


def create_key(person: Person, name: str) -> str:
    """Create a key that works from anywhere, and return its token."""
    person.open("/admin/allowlist/apikey/add/")
    person.field("Name").send_keys(name)
    person.click("Save")
    return person.text("#allowlist-token")


def try_partner(person: Person) -> None:
    """Test a request of the partner's page, from the page of a key."""
    person.click("Test a request")
    person.field("Origin").send_keys(person.demo.url("partner.localhost", ""))
    person.click("Test")


def test_a_listed_domain_brings_its_widget_to_life(person: Person) -> None:
    copycat = person.demo.url("copycat.localhost", "")
    assert person.visit("copycat.localhost") == REFUSED
    person.shoot("site-refused")
    person.picture("site-refused", "main")
    person.open_key(PAGE_KEY)
    assert copycat not in person.listed()
    person.browser.find_element(By.LINK_TEXT, "Add another Allowed domain").click()
    added = person.browser.find_elements(By.CSS_SELECTOR, "tr:not(.empty-form) > .field-domain input")[-1]
    added.send_keys(copycat)
    person.click(STAY)
    assert copycat in person.listed()
    person.shoot("key")
    person.picture("admin-key")
    assert person.visit("copycat.localhost") == ALIVE
    person.shoot("site-listed")
    person.picture("site-listed", "main")


def test_a_list_is_deleted_after_a_question_and_restored(person: Person) -> None:
    person.open_key(PAGE_KEY)
    before = person.listed()
    person.field("Allow all domains").click()
    person.click(STAY)
    assert all(entry in person.text() for entry in before)
    person.shoot("confirm-emptying")
    person.click("Save and delete the entries")
    assert "Works from anywhere." in person.text()
    assert person.listed() == []
    person.shoot("key-open")
    person.click("Restore the deleted domains")
    person.shoot("confirm-restore")
    person.click("Restore the deleted domains")
    assert person.listed() == before


def test_what_is_right_of_30_pasted_lines_is_saved(person: Person) -> None:
    create_key(person, "Thirty lines")
    person.click("Go to the key")
    person.field("Allow only listed domains").click()
    lines = [f"customer-{number}.example.com" for number in range(1, 31)]
    person.field("Add several domains").send_keys("\n".join(lines))
    person.click(STAY)
    assert "25 of 30 new entries fit, as a key can list at most 25. Remove some lines." in person.text()
    person.shoot("paste-too-many")
    box = person.field("Add several domains")
    assert box.get_attribute("value") == "\n".join(lines)
    box.clear()
    box.send_keys("\n".join([*lines[:24], "https://customer-25.example.com/shop"]))
    person.click(STAY)
    assert "1 entry can't be added. The errors above say why." in person.text()
    person.shoot("paste-wrong")
    person.picture("admin-did-you-mean")
    person.click("Add the 24 valid entries")
    assert person.text("#allowed_domains-section").endswith("24 of 25")
    assert person.listed() == lines[:24]


def test_a_blocked_site_is_allowed_by_one_click(person: Person) -> None:
    token = create_key(person, "Blocks a site")
    person.click("Go to the key")
    person.field("Allow only listed domains").click()
    person.field("Add several domains").send_keys(person.demo.url("shop.localhost", ""))
    person.click(STAY)
    assert person.visit("partner.localhost", token) == REFUSED
    partner = person.demo.url("partner.localhost", "")
    person.open_key("Blocks a site")
    person.shoot("blocked")
    person.picture("admin-blocked", "#blocked")
    try_partner(person)
    assert "This request is blocked: origin_not_listed." in person.text()
    person.shoot("test")
    person.picture("admin-test")
    person.click("Go to the key")
    person.click(f"Allow {partner}")
    person.shoot("allowed")
    assert person.messages() == [f"Added to the key's lists: {partner}."]
    assert person.visit("partner.localhost", token) == ALIVE


def test_a_key_learns_its_sites_and_then_blocks_others(person: Person) -> None:
    token = create_key(person, "Learns")
    person.click("Go to the key")
    person.click("Start learning")
    person.shoot("confirm-learn")
    person.click("Start learning")
    assert person.visit("shop.localhost", token) == ALIVE
    person.open_key("Learns")
    person.shoot("learning")
    person.click(f"Allow {person.demo.url('shop.localhost', '')}")
    person.click("Start enforcing")
    assert "Works on 1 site; blocks everything else." in person.text()
    assert person.visit("shop.localhost", token) == ALIVE
    assert person.visit("partner.localhost", token) == REFUSED


def test_two_tokens_work_until_the_old_one_is_ended(person: Person) -> None:
    old = create_key(person, "Rotated")
    person.shoot("token")
    person.picture("admin-token")
    person.click("Go to the key")
    person.click("Rotate")
    person.shoot("confirm-rotate")
    person.field("1 day").click()
    person.click("Rotate")
    new = person.text("#allowlist-token")
    assert new != old
    assert [person.visit("shop.localhost", token) for token in (old, new)] == [ALIVE, ALIVE]
    person.open_key("Rotated")
    person.shoot("overlap")
    assert "the old token works too" in person.text()
    person.click("End the old token now")
    person.shoot("confirm-end")
    person.click("End the old token now")
    assert "the old token works too" not in person.text()
    assert person.visit("shop.localhost", new) == ALIVE
    assert person.visit("shop.localhost", old).startswith(UNKNOWN)


@pytest.mark.needs("axe-core")
def test_axe_has_no_serious_finding_on_the_key_s_pages(person: Person) -> None:
    found = {}

    def audit(page: str) -> None:
        found[page] = person.findings()

    token = create_key(person, "Audited")
    audit("token")
    person.click("Go to the key")
    audit("open key")
    person.click("Start learning")
    audit("question")
    person.click("Start learning")
    person.visit("shop.localhost", token)
    person.open("/admin/allowlist/apikey/")
    audit("list of keys")
    person.open_key("Audited")
    audit("key with a blocked place")
    try_partner(person)
    audit("tested request")
    assert found == {page: [] for page in found}
