"""The widget in a real browser, on listed and unlisted pages of the running demo."""

import json
from pathlib import Path
from typing import cast

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from tests.demo_server import PATIENCE, Demo

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium")]

REFUSED = "This configurator isn't authorised on this domain."


def find(browser: Chrome, css: str) -> WebElement:
    """Return an element of the widget drawn last, as soon as it is there."""

    def look(driver: Chrome) -> WebElement | None:
        found: WebElement | None = driver.execute_script(
            "return [...document.querySelectorAll('.configurator-widget')].at(-1)"
            "?.shadowRoot.querySelector(arguments[0])",
            css,
        )
        return found

    return cast(WebElement, WebDriverWait(browser, PATIENCE).until(look))


def embed(browser: Chrome, demo: Demo, key: str) -> None:
    """Embed one more widget in the page that is open, and wait until its script has run."""
    drawn = (By.CSS_SELECTOR, ".configurator-widget")
    before = len(browser.find_elements(*drawn))
    browser.execute_script(
        "const script = Object.assign(document.createElement('script'), {src: arguments[0]});"
        "if (arguments[1]) script.dataset.key = arguments[1];"
        "document.querySelector('main').append(script)",
        demo.url("localhost", "/static/configurator/widget.js"),
        key,
    )
    WebDriverWait(browser, PATIENCE).until(lambda driver: len(driver.find_elements(*drawn)) > before)


def statuses(browser: Chrome) -> list[str]:
    """Return the console's messages about failed requests, without favicons."""
    logged = [str(entry["message"]) for entry in browser.get_log("browser")]  # type: ignore[no-untyped-call]
    return [message for message in logged if "responded with a status of" in message]


def fill_in(browser: Chrome, email: str) -> None:
    """Fill the form in and submit it."""
    Select(find(browser, "select[name=size]")).select_by_value("160")
    Select(find(browser, "select[name=wood]")).select_by_value("oak")
    find(browser, "input[name=name]").send_keys("Ada")
    find(browser, "input[name=email]").send_keys(email)
    find(browser, "button").click()


@pytest.mark.parametrize("host", ["shop.localhost", "partner.localhost"])
def test_a_listed_page_shows_the_form_and_stores_a_lead(
    demo: Demo, browser: Chrome, screenshots: Path, host: str
) -> None:
    browser.get(demo.url(host))
    assert find(browser, "h2").text == "Design your desk"
    browser.save_screenshot(str(screenshots / f"{host}-form.png"))
    fill_in(browser, "ada@example.com")
    assert find(browser, ".thanks").text == "Thank you, Ada. Your offer is on its way to ada@example.com."
    browser.save_screenshot(str(screenshots / f"{host}-thanks.png"))
    ((name, email, choices, price, key),) = demo.query(
        "SELECT lead.name, email, choices, price, key.name FROM configurator_lead AS lead"
        " JOIN allowlist_apikey AS key ON key.id = lead.key_id"
    )
    assert (name, email, price, key) == ("Ada", "ada@example.com", 340 + 120 + 90, "Demo: web pages")
    assert json.loads(choices) == {"size": "160", "wood": "oak"}
    assert statuses(browser) == []


def test_the_service_s_own_page_leads_to_the_three_sites(
    demo: Demo, browser: Chrome, screenshots: Path
) -> None:
    browser.get(demo.url("localhost"))
    browser.save_screenshot(str(screenshots / "start.png"))
    links = [link.get_attribute("href") for link in browser.find_elements(By.CSS_SELECTOR, ".sites a")]
    assert links == [demo.url(f"{name}.localhost") for name in ("shop", "partner", "copycat")]


def test_an_unlisted_page_shows_the_sentence_and_stores_nothing(
    demo: Demo, browser: Chrome, screenshots: Path
) -> None:
    browser.get(demo.url("copycat.localhost"))
    assert find(browser, ".notice").text == REFUSED
    browser.save_screenshot(str(screenshots / "copycat.localhost.png"))
    (logged,) = statuses(browser)
    assert "/api/widget/v1/config" in logged
    assert "403 (Forbidden)" in logged
    assert demo.query("SELECT count(*) FROM configurator_lead") == [(0,)]


def test_an_unlisted_page_that_submits_without_the_widget_is_refused(demo: Demo, browser: Chrome) -> None:
    browser.get(demo.url("copycat.localhost"))
    answer = browser.execute_async_script(
        "const [url, key, done] = arguments;"
        "fetch(url, {method: 'POST', headers: {'X-API-Key': key, 'Content-Type': 'application/json'},"
        " body: JSON.stringify({name: 'Spam', email: 's@example.com', choices: {size: '120', wood: 'ash'}})})"
        ".then(async (response) => done([response.status, await response.json()]))",
        demo.url("localhost", "/api/widget/v1/submit"),
        demo.page_token,
    )
    assert answer[0] == 403
    assert answer[1]["reason"] == "origin_not_listed"
    assert demo.query("SELECT count(*) FROM configurator_lead") == [(0,)]


def test_an_invalid_email_address_is_reported_and_the_form_stays(demo: Demo, browser: Chrome) -> None:
    browser.get(demo.url("shop.localhost"))
    # An address that browsers accept and we do not.
    fill_in(browser, "ada@example")
    problem = find(browser, "[role=alert]:not(:empty)")
    assert problem.text == "Enter a valid email address."
    assert find(browser, "input[name=name]").get_attribute("value") == "Ada"
    assert find(browser, "button").is_enabled()


def test_a_missing_and_a_wrong_key_are_reported(demo: Demo, browser: Chrome) -> None:
    browser.get(demo.url("shop.localhost"))
    find(browser, "form")
    embed(browser, demo, "")
    assert find(browser, ".notice").text.startswith("This configurator has no key.")
    embed(browser, demo, "pk_live_mistyped")
    assert find(browser, ".notice").text.startswith("This configurator's key doesn't work.")


@pytest.mark.parametrize(
    ("fetch", "message"),
    [
        ("Promise.resolve(new Response('{}', {status: 429}))", "Too many requests."),
        (
            "Promise.resolve(new Response('{}', {status: 503}))",
            "The configurator is not available right now.",
        ),
        ("Promise.reject(new TypeError('Failed to fetch'))", "The configurator can't be reached."),
    ],
)
def test_other_failures_have_their_own_sentences(
    demo: Demo, browser: Chrome, fetch: str, message: str
) -> None:
    browser.get(demo.url("shop.localhost"))
    find(browser, "form")
    browser.execute_script(f"window.fetch = () => {fetch}")
    embed(browser, demo, demo.page_token)
    assert find(browser, ".notice").text.startswith(message)
