"""Each recipe's demo in a real browser: a listed page is served, another page shows the refusal."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from example_project import recipes
from tests.demo_server import PATIENCE, Demo, free_port, running_demo
from tests.testing import DOMAIN_MESSAGE

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium")]

SAID = (
    "const ours = document.querySelector('section[data-state]');"
    "const theirs = document.querySelector('.configurator-widget')?.shadowRoot.querySelector('h2, .notice');"
    "return (ours ?? theirs)?.innerText ?? ''"
)


@dataclass(frozen=True)
class Shown:
    """What a recipe's widget shows on a listed page and on another one, and the status of the refusal."""

    served: str
    refused: str
    status: str = "403 (Forbidden)"


SHOWN = {
    "impler": Shown("It works here", "Domain not allowed", "401 (Unauthorized)"),
    "innkept": Shown("Design your desk", "This configurator isn't authorised on this domain."),
    "security-page": Shown("It works here", DOMAIN_MESSAGE),
    "token-access": Shown("It works here", "Access denied. You don't have permission to access this."),
    "mimicbot": Shown("allowedOrigins", DOMAIN_MESSAGE),
}


@pytest.fixture(scope="module", params=recipes.NAMES)
def recipe(request: pytest.FixtureRequest) -> str:
    """Return the name of a recipe."""
    return str(request.param)


@pytest.fixture(scope="module")
def demo(recipe: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Return the recipe's demo, which its tests share."""
    with running_demo(tmp_path_factory.mktemp(recipe), free_port(), recipe) as demo:
        yield demo


def said(browser: Chrome) -> str:
    """Return what the page's widget shows, as soon as it shows something."""
    return str(WebDriverWait(browser, PATIENCE).until(lambda driver: driver.execute_script(SAID)))


def failures(browser: Chrome) -> list[str]:
    """Return the console's messages about requests that failed or were blocked."""
    logged = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return [str(entry["message"]) for entry in logged if entry["source"] in ("network", "javascript")]


def test_a_listed_page_is_served_and_another_page_shows_the_refusal(
    demo: Demo, browser: Chrome, screenshots: Path, recipe: str
) -> None:
    shown = SHOWN[recipe]
    for name in ("shop", "partner"):
        browser.get(demo.url(f"{name}.localhost"))
        assert shown.served in said(browser)
        browser.save_screenshot(str(screenshots / f"{recipe}-{name}.png"))
        assert failures(browser) == []
    browser.get(demo.url("copycat.localhost"))
    assert shown.refused in said(browser)
    browser.save_screenshot(str(screenshots / f"{recipe}-copycat.png"))
    # The server refused it with a response that the page could read. The browser didn't block it.
    (failure,) = failures(browser)
    assert f"responded with a status of {shown.status}" in failure


def test_the_service_s_own_page_leads_to_the_three_sites(
    demo: Demo, browser: Chrome, screenshots: Path, recipe: str
) -> None:
    browser.get(demo.url("localhost"))
    browser.save_screenshot(str(screenshots / f"{recipe}-start.png"))
    assert browser.find_element(By.CSS_SELECTOR, ".brand").text == recipe
    links = [link.get_attribute("href") for link in browser.find_elements(By.CSS_SELECTOR, ".sites a")]
    assert links == [demo.url(f"{name}.localhost") for name in ("shop", "partner", "copycat")]
