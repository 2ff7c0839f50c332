"""The widget in an iframe, in a real browser: on listed pages, on others, and on pages that cheat."""

import base64
import json
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from tests.demo_server import PATIENCE, Demo, free_port, running_demo

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium")]

GET, POST = "/api/widget/v1/config", "/api/widget/v1/submit"
SEND = """
const [url, headers, body, referrerPolicy, done] = arguments;
fetch(url, {method: body ? "POST" : "GET", headers, body, referrerPolicy, credentials: "omit"})
  .then(async (response) => done([response.status, (await response.json()).reason ?? null]))
  .catch((error) => done([0, String(error)]));
"""
EVENTS = """
const [url, done] = arguments;
const events = new EventSource(url);
events.onerror = () => done(events.readyState);
"""


class Pages(BaseHTTPRequestHandler):
    """Serves HTML by path, on every host."""

    def __init__(self, pages: Mapping[str, str], *args: Any) -> None:
        self.pages = pages
        super().__init__(*args)

    def do_GET(self) -> None:
        """Send the page of the path."""
        content = self.pages.get(self.path, "").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        """Log nothing."""


@contextmanager
def serving(pages: Mapping[str, str], port: int) -> Iterator[None]:
    """Serve other sites' pages while the block runs."""
    with ThreadingHTTPServer(("127.0.0.1", port), partial(Pages, pages)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def manage(demo: Demo, method: str, path: str, data: Any = None) -> Any:
    """Send a request to the management API as the keys' creator, and return what it responds."""
    login = base64.b64encode(b"demo:demo").decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
    sent = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(demo.url("localhost", f"/api/{path}"), sent, headers, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        content = response.read()
    return json.loads(content) if content else None


def look(browser: Chrome, css: str, *, in_widget: bool = False) -> WebElement:
    """Return an element of the document, or of the widget in it, as soon as it is there."""
    root = "document.querySelector('.configurator-widget')?.shadowRoot?" if in_widget else "document"
    script = f"return {root}.querySelector(arguments[0])"
    found: WebElement = WebDriverWait(browser, PATIENCE).until(
        lambda driver: driver.execute_script(script, css)
    )
    return found


def enter_frame(browser: Chrome, url: str) -> None:
    """Open a page, and look at the document in its frame."""
    browser.get(url)
    browser.switch_to.frame(look(browser, "iframe"))


def send(browser: Chrome, url: str, headers: dict[str, str], data: Any = None, policy: str = "") -> list[Any]:
    """Return status and reason of a request that the document's script sends, under a referrer policy."""
    if data is not None:
        headers = {**headers, "Content-Type": "application/json"}
    found: list[Any] = browser.execute_async_script(SEND, url, headers, data and json.dumps(data), policy)
    return found


def console(browser: Chrome) -> str:
    """Return what the browser has logged since it was last asked."""
    return "\n".join(entry["message"] for entry in browser.get_log("browser"))  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Return one demo, with the routes of ``corner_site``, for all tests of this module."""
    folder = tmp_path_factory.mktemp("demo")
    with running_demo(folder, free_port(), settings="tests.browser.corner_settings") as demo:
        yield demo


def test_the_demo_s_frame_works_on_a_listed_page(demo: Demo, browser: Chrome, screenshots: Path) -> None:
    enter_frame(browser, demo.url("shop.localhost", "/framed/"))
    assert look(browser, "h2", in_widget=True).text == "Design your desk"
    Select(look(browser, "select[name=size]", in_widget=True)).select_by_value("160")
    look(browser, "input[name=name]", in_widget=True).send_keys("Ada")
    look(browser, "input[name=email]", in_widget=True).send_keys("ada@example.com")
    look(browser, "button", in_widget=True).click()
    assert look(browser, ".thanks", in_widget=True).text.startswith("Thank you, Ada.")
    browser.save_screenshot(str(screenshots / "framed-shop.png"))
    ((name, key),) = demo.query(
        "SELECT lead.name, key.name FROM configurator_lead AS lead"
        " JOIN allowlist_apikey AS key ON key.id = lead.key_id"
    )
    assert (name, key) == ("Ada", "Demo: web pages")
    enter_frame(browser, demo.url("copycat.localhost", "/framed/"))
    said = look(browser, "p").text
    assert said.endswith(f"Add {demo.url('copycat.localhost', '')} to the key's allowed domains.")
    assert browser.find_elements(By.CSS_SELECTOR, "script") == []
    browser.save_screenshot(str(screenshots / "framed-copycat.png"))


def test_pages_that_cheat_get_nothing(demo: Demo, browser: Chrome) -> None:
    port, key = free_port(), demo.page_token
    friend, evil = f"http://friend.localhost:{port}", f"http://evil.localhost:{port}"
    frame = demo.url("localhost", f"/widget/frame/?key={key}")
    pages = {
        "/honest": f'<iframe src="{frame}"></iframe>',
        "/hides": f'<iframe src="{frame}" referrerpolicy="no-referrer"></iframe>',
        "/sandboxed": f'<iframe src="{frame}" sandbox="allow-scripts"></iframe>',
        # The listed site lets anyone redirect to anywhere, by a script.
        "/redirect": f'<script>location = "{frame}"</script>',
        "/cheat": f'<iframe src="{friend}/redirect"></iframe>',
        "/deep": f'<iframe src="{friend}/honest"></iframe>',
    }
    ((key_id,),) = demo.query("SELECT id FROM allowlist_apikey WHERE kind = 'publishable'")
    listed = manage(demo, "POST", f"keys/{key_id}/domains/", {"domain": friend})
    with serving(pages, port):
        enter_frame(browser, f"{friend}/honest")
        look(browser, "form", in_widget=True)
        token = str(look(browser, "script").get_attribute("data-embed-token"))
        sent = {"X-API-Key": key, "X-Embed-Token": token}
        lead = {"name": "Ada", "email": "ada@example.com", "choices": {"size": "120", "wood": "ash"}}
        for policy in ("", "no-referrer"):
            assert send(browser, GET, sent, policy=policy) == [200, None]
            assert send(browser, POST, sent, lead, policy) == [201, None]
        # EventSource sends no headers of a script, so it is judged by the frame's own origin, which isn't
        # listed. 2: closed. Without a refusal it would be 0: connecting again.
        assert browser.execute_async_script(EVENTS, f"/corner?key={key}") == 2
        assert send(browser, GET, {"X-API-Key": key}) == [403, "origin_not_listed"]

        # A stolen token, in a page of someone else and in the embedding page itself.
        for thief in (evil, friend):
            browser.get(f"{thief}/")
            assert send(browser, demo.url("localhost", GET), sent) == [403, "embed_token_invalid"]
            assert send(browser, demo.url("localhost", POST), sent, lead) == [403, "embed_token_invalid"]

        enter_frame(browser, f"{evil}/hides")
        assert 'referrerpolicy="origin"' in look(browser, "p").text
        enter_frame(browser, f"{evil}/honest")
        assert evil in look(browser, "p").text

        # The Referer is the listed site's, so the service sends the document. The browser doesn't show it.
        console(browser)
        for page in ("cheat", "deep"):
            enter_frame(browser, f"{evil}/{page}")
            if page == "deep":
                browser.switch_to.frame(look(browser, "iframe"))
            WebDriverWait(browser, PATIENCE).until(
                lambda _driver: f"frame-ancestors {friend}" in console(browser)
            )
            assert browser.execute_script("return location.href") == "chrome-error://chromewebdata/"

        # A sandboxed frame has no origin, so no token counts there.
        enter_frame(browser, f"{friend}/sandboxed")
        assert look(browser, ".notice", in_widget=True).text.startswith("This page has been open for")

        enter_frame(browser, f"{friend}/honest")
        token = str(look(browser, "script").get_attribute("data-embed-token"))
        sent = {"X-API-Key": key, "X-Embed-Token": token}
        assert send(browser, GET, sent) == [200, None]
        manage(demo, "DELETE", f"keys/{key_id}/domains/{listed['id']}/")
        assert send(browser, GET, sent) == send(browser, POST, sent, lead) == [403, "origin_not_listed"]
