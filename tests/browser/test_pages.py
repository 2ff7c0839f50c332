"""A creator's day on the creator's pages, in a real browser with and without JavaScript."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.browser.person import SCHEMES, Person
from tests.demo_server import ROOT, Demo, free_port, running_demo

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium")]

ALIVE = "Design your desk"
REFUSED = "This configurator isn't authorised on this domain."
UNKNOWN = "This configurator's key doesn't work."
SHOP, PARTNER, COPYCAT = "shop.localhost", "partner.localhost", "copycat.localhost"
SAVE = "Save changes"
FOCUSED = """
const focused = document.activeElement;
return (focused.ariaLabel || focused.labels?.[0]?.textContent || focused.textContent).trim();
"""
STOPS = 80
"""More stops of the Tab key than a page has."""


@dataclass(frozen=True)
class Customer(Person):
    """Someone who owns keys and isn't staff, in a browser that may run no scripts on the service's pages."""

    scripts: bool = True

    def open(self, path: str, host: str = "localhost") -> None:
        """Open a page. The pretend sites always run scripts, as their widget is one."""
        off = {"value": not self.scripts and host == "localhost"}
        self.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", off)
        super().open(path, host)

    def log_in(self) -> None:
        """Log in on the page to which the pages lead."""
        self.field("Username").send_keys("demo")
        self.field("Password").send_keys("demo")
        self.click("Log in")

    def log_out_elsewhere(self) -> None:
        """End the session as another tab does, while this page stays open."""
        self.browser.delete_cookie("sessionid")

    def open_key(self, name: str) -> None:
        """Open a key's settings, from the list of keys."""
        self.open("/security/")
        self.click(name)

    def leave(self, way: WebElement) -> None:
        """Scroll to what leads to another page, and click it."""
        super().leave(self.reach(way))

    def field(self, label: str) -> WebElement:
        """Scroll to the field that is labeled so."""
        return self.reach(super().field(label))

    def reach(self, element: WebElement) -> WebElement:
        """Scroll to an element, so that the save bar doesn't cover it."""
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        return element

    def row(self, column: str, field: str) -> WebElement:
        """Return a field of the last row of a list, which is blank."""
        css = f"#allowed-{column}s-rows [name$='-{field}']"
        return self.browser.find_elements(By.CSS_SELECTOR, css)[-1]

    def listed(self, column: str = "domain") -> list[str]:
        """Return the entries that the page shows in one of the key's lists."""
        css = f"#allowed-{column}s-rows .al-row:has(.al-remove) [name$='-{column}']"
        return [str(each.get_attribute("value")) for each in self.browser.find_elements(By.CSS_SELECTOR, css)]

    def paste(self, label: str, *lines: str) -> WebElement:
        """Paste lines into a box, and return the box."""
        box = self.field(label)
        box.send_keys("\n".join(lines))
        return box

    def tick(self, entry: str) -> None:
        """Select “Remove” in the row of an entry."""
        rows = self.browser.find_elements(By.CSS_SELECTOR, ".al-row:has(.al-remove)")
        [found] = [row for row in rows if entry in values(row)]
        self.reach(found.find_element(By.CSS_SELECTOR, ".al-remove input")).click()

    def tab_to(self, label: str) -> WebElement:
        """Press Tab until what is labeled so has the focus, and return it."""
        for _stop in range(STOPS):
            self.press(Keys.TAB)
            if self.browser.execute_script(FOCUSED) == label:
                return self.browser.switch_to.active_element
        raise AssertionError(label)

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        ActionChains(self.browser).send_keys(*keys).perform()

    def follow(self, key: str) -> None:
        """Press a key that leads to another page, and wait for that page."""
        with self.leaving():
            self.press(key)

    def hosts(self) -> set[str]:
        """Return the hosts that pages of the service have sent requests to since it was last asked."""
        logged = self.browser.get_log("performance")  # type: ignore[no-untyped-call]
        messages = [json.loads(each["message"])["message"] for each in logged]
        sent = [each["params"] for each in messages if each["method"] == "Network.requestWillBeSent"]
        own = [each for each in sent if urlsplit(each["documentURL"]).hostname == "localhost"]
        hosts = [urlsplit(each["request"]["url"]).hostname for each in own]
        return {host for host in hosts if host is not None}  # A data: URL has none.


def values(row: WebElement) -> list[str | None]:
    """Return what is in the fields of a row."""
    return [each.get_attribute("value") for each in row.find_elements(By.TAG_NAME, "input")]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Return one demo for all tests of this module."""
    folder = tmp_path_factory.mktemp("demo")
    with running_demo(folder, free_port(), settings="tests.browser.strict_settings") as demo:
        yield demo


@pytest.fixture
def customer(request: pytest.FixtureRequest, demo: Demo, browser: Chrome) -> Iterator[Customer]:
    """Return a customer on the login page. Nothing they see violates the policy or comes from elsewhere."""
    customer = Customer(browser, demo, getattr(request, "param", True))
    customer.hosts()
    customer.open("/security/")
    yield customer
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert customer.complaints() == []
    assert customer.hosts() == {"localhost"}


@pytest.mark.parametrize("customer", [False, True], ids=["no-scripts", "scripts"], indirect=True)
def test_a_creator_s_day(customer: Customer) -> None:
    customer.log_in()
    token = create(customer)
    assert [customer.visit(host, token) for host in (SHOP, COPYCAT)] == [ALIVE, REFUSED]
    lists(customer, token)
    condition(customer)
    learn(customer, token)
    rotate(customer, token)
    end(customer)


def create(customer: Customer) -> str:
    """Create a key that lists a site, and return its token."""
    customer.click("Create an API key")
    customer.field("Name").send_keys("Day")
    customer.field("Allow only listed domains").click()
    customer.row("domain", "name").send_keys("Shop")
    customer.row("domain", "domain").send_keys(customer.demo.url(SHOP, ""))
    customer.click("Create the key")
    assert customer.messages() == ["Created the key."]
    token = customer.text(".al-token code")
    if customer.scripts:
        customer.browser.find_element(By.CSS_SELECTOR, ".al-token button").click()
        assert customer.text(".al-token button") == "Copied"
    return token


def lists(customer: Customer, token: str) -> None:
    """Paste several lines of which one is wrong, remove an entry, and restore a deleted list."""
    shop, partner = (customer.demo.url(host, "") for host in (SHOP, PARTNER))
    customer.open_key("Day")
    customer.paste("Add several domains", partner, "htps://wrong.example", "blog.example.com")
    customer.click(SAVE)
    error = customer.text(".al-field:has(textarea) .errorlist")
    assert "htps://wrong.example" in error
    assert "wrong.example" in str(customer.field("Add several domains").get_attribute("value"))
    customer.click("Add the 2 valid entries")
    assert customer.listed() == [shop, partner, "blog.example.com"]
    assert customer.visit(PARTNER, token) == ALIVE
    customer.open_key("Day")
    customer.tick(partner)
    customer.click(SAVE)
    assert customer.visit(PARTNER, token) == REFUSED
    customer.open_key("Day")
    customer.field("Allow all domains").click()
    customer.click(SAVE)
    customer.click("Save and delete the entries")
    customer.click("Restore the deleted domains")
    customer.click("Restore the deleted domains")
    assert customer.listed() == [shop, "blog.example.com"]


def condition(customer: Customer) -> None:
    """Enable the other list too, and disable it again."""
    choice = "Domain or IP can match"
    assert choice not in customer.text()
    customer.field("Allow only listed IPs").click()
    customer.row("ip", "ip").send_keys("127.0.0.1")
    customer.click(SAVE)
    customer.field(choice).click()
    customer.click(SAVE)
    assert customer.field(choice).is_selected()
    customer.field("Allow all IPs").click()
    customer.click(SAVE)
    customer.click("Save and delete the entries")
    assert choice not in customer.text()


def learn(customer: Customer, token: str) -> None:
    """Allow a blocked site, monitor, and block again; let an open key learn a site and test the other."""
    copycat = customer.demo.url(COPYCAT, "")
    customer.click("Blocked")
    customer.click(f"Allow {copycat}")
    assert customer.visit(COPYCAT, token) == ALIVE
    customer.open_key("Day")
    customer.field("Monitor only: allow and log").click()
    customer.click(SAVE)
    assert customer.visit(PARTNER, token) == ALIVE
    customer.open_key("Day")
    customer.field("Allow all domains").click()
    customer.field("Block requests that aren't listed").click()
    customer.click(SAVE)
    customer.click("Save and delete the entries")
    customer.click("Blocked")
    customer.click("Start learning")
    customer.click("Start learning")
    assert customer.visit(SHOP, token) == ALIVE
    customer.open_key("Day")
    customer.click("Blocked")
    customer.click(f"Allow {customer.demo.url(SHOP, '')}")
    customer.click("Start enforcing")
    customer.click("Start enforcing")
    assert customer.visit(PARTNER, token) == REFUSED
    customer.open_key("Day")
    customer.click("Test a request")
    near = customer.demo.url(f"www.{SHOP}", "")
    customer.field("Origin").send_keys(near)
    customer.click("Test")
    assert "This request is blocked" in customer.text()
    customer.click(f"Add {near}")
    assert "This request is allowed." in customer.text()


def rotate(customer: Customer, old: str) -> None:
    """Get a new token, with a day in which the old one works too, and end that day."""
    customer.click("Settings")
    customer.click("Rotate")
    customer.field("1 day").click()
    customer.click("Rotate")
    new = customer.text(".al-token code")
    assert [customer.visit(SHOP, token) for token in (old, new)] == [ALIVE, ALIVE]
    customer.open_key("Day")
    customer.click("End the old token now")
    customer.click("End the old token now")
    assert customer.visit(SHOP, new) == ALIVE
    assert customer.visit(SHOP, old).startswith(UNKNOWN)


def end(customer: Customer) -> None:
    """Revoke the key, then delete it."""
    customer.open_key("Day")
    customer.click("Revoke")
    customer.click("Revoke")
    assert "Revoked" in customer.text("h1")
    customer.click("Delete")
    customer.click("Delete")
    assert customer.messages() == ["Deleted the key."]
    assert "Day" not in customer.text(".al-keys")


def test_the_keyboard_alone_is_enough(customer: Customer) -> None:
    customer.log_in()
    customer.tab_to("Create an API key")
    customer.follow(Keys.ENTER)
    customer.tab_to("Name").send_keys("Keyboard")
    customer.tab_to("Publishable: for web pages")
    customer.press(Keys.DOWN)
    customer.tab_to("Allow all IPs")
    customer.press(Keys.DOWN)
    customer.tab_to("IP address").send_keys("203.0.113.7")
    customer.follow(Keys.ENTER)
    assert customer.text(".al-token code").startswith("sk_live_")
    customer.tab_to("Go to the settings")
    customer.follow(Keys.ENTER)
    customer.tab_to("Remove 203.0.113.7")
    customer.press(Keys.SPACE)
    customer.tab_to("Add several IPs").send_keys("203.0.113.8")
    customer.tab_to(SAVE)
    customer.follow(Keys.SPACE)
    assert customer.listed("ip") == ["203.0.113.8"]
    customer.tab_to("Delete")
    customer.follow(Keys.ENTER)
    customer.tab_to("Delete")
    customer.follow(Keys.ENTER)
    assert customer.messages() == ["Deleted the key."]


def test_back_reload_and_a_login_that_expired_repeat_nothing(customer: Customer) -> None:
    customer.log_in()
    before = customer.demo.query("SELECT count(*) FROM allowlist_apikey")
    customer.open("/security/create/")
    customer.field("Name").send_keys("Once")
    customer.field("Secret: for servers only").click()
    customer.click("Create the key")
    assert customer.text(".al-token code").startswith("sk_live_")
    customer.browser.refresh()
    assert "The token was shown once." in customer.text()
    customer.browser.back()
    customer.browser.forward()
    assert customer.demo.query("SELECT count(*) FROM allowlist_apikey") == [(before[0][0] + 1,)]
    customer.click("Settings")
    customer.log_out_elsewhere()
    customer.field("Name").send_keys(" or twice")
    customer.click(SAVE)
    assert "You were logged out, so nothing was saved. Please log in again." in customer.text()
    customer.log_in()
    assert customer.text("h1").startswith("Once Active")


@pytest.mark.needs("axe-core")
def test_axe_has_no_serious_finding_on_the_pages(customer: Customer) -> None:
    found = {"login": customer.findings()}

    def audit(page: str) -> None:
        customer.shoot(f"pages-{page}")
        found[page] = customer.findings()

    customer.log_in()
    audit("keys")
    customer.click("Create an API key")
    customer.field("Name").send_keys("Audited")
    customer.click("Create the key")
    audit("token")
    customer.click("Settings")
    customer.field("Allow only listed domains").click()
    customer.paste("Add several domains", "fine.example", "not fine")
    customer.click(SAVE)
    audit("error")
    customer.click("Add the valid entry")
    customer.field("Add several domains").clear()
    customer.field("Allow only listed IPs").click()
    customer.paste("Add several IPs", "203.0.113.0/24")
    customer.click(SAVE)
    audit("settings")
    customer.field("Allow all IPs").click()
    customer.click(SAVE)
    audit("emptying")
    customer.click("Cancel")
    customer.click("Rotate")
    audit("question")
    customer.click("Test a request")
    customer.field("Origin").send_keys("https://www.fine.example")
    customer.click("Test")
    audit("test")
    customer.visit(COPYCAT)
    customer.open_key("Demo: web pages")
    for scheme in SCHEMES:
        customer.picture(f"pages-key-{scheme}", "body", scheme=scheme)
    customer.click("Blocked")
    audit("blocked")
    customer.open("/security/987654321/")
    audit("not-found")
    assert found == {page: [] for page in found}


def test_the_fetch_reference_runs_against_the_api(customer: Customer) -> None:
    customer.log_in()
    page = (ROOT / "docs/how-to/dashboard.md").read_text()
    blocks = re.findall(r"```javascript\n(.*?)```", page, re.DOTALL)
    source = "".join(blocks).replace("export ", "")
    seen = "[entry.domain, added.length, duplicates.length, allowed, rotated.token !== token]"
    script = f"const done = arguments[0]; (async () => {{ {source} return {seen}; }})().then(done, done);"
    found = customer.browser.execute_async_script(script)
    assert found == ["blog.example.com", 2, 0, False, True]
