"""A person at the browser, who clicks what they read, and the pictures of what they saw."""

import os
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import django
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.demo_server import PATIENCE, Demo
from tests.services import axe_core

PAGES = "ALLOWLIST_SCREENSHOTS"
"""The variable with the folder for pictures of whole pages, each in light and dark, wide and narrow."""
PICTURES = "ALLOWLIST_PICTURES"
"""The variable with the folder for the documentation's pictures: docs/_static/screenshots."""
WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")

LABELED = """
const words = (element) => (element.tagName === "INPUT" ? element.value : element.textContent);
const said = (element) => words(element).trim().replace(/\\s+/g, " ").replace(/:$/, "");
return [...document.querySelectorAll(arguments[0])]
  .filter((each) => each.checkVisibility())
  .map((each) => [said(each), each]);
"""
ARRIVED = "return !window.isLeft && document.readyState === 'complete'"
IN_WIDGET = """
return document.querySelector(".configurator-widget")?.shadowRoot.querySelector("h2, .notice")?.innerText;
"""
EMBED = """
const script = Object.assign(document.createElement("script"), {src: arguments[0]});
script.dataset.key = arguments[1];
document.querySelectorAll(".configurator-widget").forEach((widget) => widget.remove());
document.querySelector("main").append(script);
"""
AUDIT = """
const [exempt, done] = arguments;
const still = Promise.all(document.getAnimations().map((each) => each.finished));
still.then(() => axe.run({exclude: exempt}, {resultTypes: ["violations"]})).then((found) => done(
  found.violations.filter((rule) => ["serious", "critical"].includes(rule.impact)).flatMap((rule) =>
    rule.nodes.map((node) => `${rule.id}: ${node.target.join(" ")}: ${node.failureSummary}`))
));
"""
EXEMPT = [".breadcrumbs", ".vDateField", ".vTimeField"] if django.VERSION < (6,) else []
"""What Django 5.2's own admin gets wrong."""


@dataclass(frozen=True)
class Person:
    """Someone in front of a browser that shows a demo."""

    browser: Chrome
    demo: Demo

    def log_in(self) -> None:
        """Log in to the admin as the keys' creator."""
        self.open("/admin/")
        self.field("Username").send_keys("demo")
        self.field("Password").send_keys("demo")
        self.click("Log in")

    def open(self, path: str, host: str = "localhost") -> None:
        """Open a page of the service, or of a pretend site."""
        self.browser.get(self.demo.url(host, path))

    def open_key(self, name: str) -> None:
        """Open a key's page in the admin, from the list of keys."""
        self.open("/admin/allowlist/apikey/")
        self.leave(self.browser.find_element(By.PARTIAL_LINK_TEXT, name))

    def text(self, css: str = "#content, main") -> str:
        """Return what is to be read on the page or in a part of it, without line breaks."""
        return " ".join(self.browser.find_element(By.CSS_SELECTOR, css).text.split())

    def messages(self) -> list[str]:
        """Return the messages above the page."""
        return [each.text for each in self.browser.find_elements(By.CSS_SELECTOR, ".messagelist li")]

    def click(self, label: str) -> None:
        """Follow the link or button that is labeled so, to the next page."""
        self.leave(self._labeled(label, "a, button, input[type=submit]"))

    def leave(self, way: WebElement) -> None:
        """Click what leads to another page, and wait for that page."""
        with self.leaving():
            way.click()

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """Wait for the page to which the block leads."""
        self.browser.execute_script("window.isLeft = true")
        yield
        # Between two pages, the driver may have none.
        wait = WebDriverWait(self.browser, PATIENCE, ignored_exceptions=(WebDriverException,))
        wait.until(lambda driver: driver.execute_script(ARRIVED))

    def field(self, label: str) -> WebElement:
        """Return the field that is labeled so, such as a text box or a radio button."""
        field: WebElement = self.browser.execute_script(
            "return arguments[0].control", self._labeled(label, "label")
        )
        return field

    def _labeled(self, label: str, css: str) -> WebElement:
        """Return the visible element of a kind that is labeled so, the last one if there are several."""
        found: dict[str, WebElement] = dict(self.browser.execute_script(LABELED, css))
        assert label in found, f"{label!r} is none of {sorted(found)}"
        return found[label]

    def listed(self, column: str = "domain") -> list[str]:
        """Return the entries that the key's page shows in one of its lists."""
        fields = f"tr.has_original input[name^=allowed_][name$=-{column}]"
        found = self.browser.find_elements(By.CSS_SELECTOR, fields)
        return [str(each.get_attribute("value")) for each in found]

    def visit(self, host: str, token: str = "") -> str:
        """Return what the widget says on a pretend site, with another token if one is given."""
        self.open("/", host)
        if token:
            self._widget()
            script = self.demo.url("localhost", "/static/configurator/widget.js")
            self.browser.execute_script(EMBED, script, token)
        return self._widget()

    def _widget(self) -> str:
        """Return what the widget says as soon as it says something."""
        wait = WebDriverWait(self.browser, PATIENCE)
        return str(wait.until(lambda driver: driver.execute_script(IN_WIDGET)))

    def complaints(self) -> list[str]:
        """Return what the browser has logged about the policy of the pages since it was last asked."""
        logged = [str(each["message"]) for each in self.browser.get_log("browser")]  # type: ignore[no-untyped-call]
        return [message for message in logged if "Content Security Policy" in message]

    def findings(self) -> list[str]:
        """Return axe-core's serious and critical findings on the page, in light and dark."""
        assert self.complaints() == []
        found: list[str] = []
        source = axe_core().read_text()
        for scheme in SCHEMES:
            with self.seen(scheme):
                self.browser.execute_script(source)
                found += (f"{scheme}: {each}" for each in self.browser.execute_async_script(AUDIT, EXEMPT))
        self.complaints()  # axe-core sets styles of its own.
        return found

    def shoot(self, name: str) -> None:
        """Save the whole page as it is seen in light and dark, wide and narrow, if a folder is given."""
        if folder := os.environ.get(PAGES):
            for width, scheme in product(WIDTHS, SCHEMES):
                with self._whole(scheme, width):
                    self.browser.save_screenshot(str(Path(folder, f"{name}-{width}-{scheme}.png")))

    def picture(self, name: str, css: str = "#content", height: int = 700, scheme: str = "light") -> None:
        """Save the top of a part of the page for the documentation, if a folder is given."""
        if folder := os.environ.get(PICTURES):
            with self._whole(scheme, WIDTHS[0]):
                box = self.browser.find_element(By.CSS_SELECTOR, css).rect
                clip = {**box, "height": min(box["height"], height), "scale": 1}
                taken = self.browser.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip})
            Path(folder, f"{name}.png").write_bytes(b64decode(taken["data"]))

    @contextmanager
    def _whole(self, scheme: str, width: int) -> Iterator[None]:
        with self.seen(scheme, width):
            height = self.browser.execute_script("return document.documentElement.scrollHeight")
        with self.seen(scheme, width, height):
            yield

    @contextmanager
    def seen(self, scheme: str, width: int = 1200, height: int = 900) -> Iterator[None]:
        """Show the page in light or dark and at a width while the block runs."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        try:
            yield
        finally:
            self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
            self.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
