"""Every way a page can send a request: what the service responds in Chromium."""

import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple, cast

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.support.wait import WebDriverWait

from tests.demo_server import PATIENCE, Demo, free_port, running_demo

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium")]

SCRIPT = "document.body.append(Object.assign(document.createElement('script'), {src: url, %s}))"
FORM = (
    "const form = Object.assign(document.createElement('form'), {method: 'POST', action: url});"
    "document.body.append(form); form.submit()"
)
FRAME = (
    "const frame = document.createElement('iframe'); frame.setAttribute('sandbox', 'allow-scripts %s');"
    "frame.srcdoc = `<script>fetch(${JSON.stringify(url)})</script>`; document.body.append(frame)"
)
EVENTS = "window.events = new EventSource(url)"
NO_CORS = "fetch(url, {mode: 'no-cors'})"
WORKER = (
    "navigator.serviceWorker.register('/worker.js')"
    ".then((found) => (found.installing ?? found.waiting ?? found.active).postMessage(url))"
)
GUARDED, DRF = "/corner", "/api/widget/v1/config"


class Corner(NamedTuple):
    """A page, what its script does with a URL of the service, and the response's status and reason."""

    page: str
    script: str
    status: int
    reason: str | None = None
    view: str = GUARDED
    key_in_url: bool = True
    other_port: bool = False


CORNERS = {
    "script": Corner("/page", SCRIPT % "", 200),
    "script without referrer": Corner(
        "/page", SCRIPT % "referrerPolicy: 'no-referrer'", 403, "origin_hidden"
    ),
    "script crossorigin": Corner(
        "/page", SCRIPT % "referrerPolicy: 'no-referrer', crossOrigin: 'anonymous'", 200
    ),
    "no-cors": Corner("/page", NO_CORS, 200),
    "no-cors with the key in a header": Corner(
        "/page",
        "fetch(url, {mode: 'no-cors', headers: {'X-API-Key': key}})",
        401,
        "key_missing",
        key_in_url=False,
    ),
    "EventSource": Corner("/page", EVENTS, 200),
    "EventSource at a view that sends JSON": Corner("/page", EVENTS, 406, view=DRF),
    "form": Corner("/page", FORM, 200),
    "service worker": Corner("/page", WORKER, 200),
    "sandbox": Corner("/page", FRAME % "", 403, "origin_opaque"),
    "sandbox allow-same-origin": Corner("/page", FRAME % "allow-same-origin", 200),
    "hiding page: fetch": Corner("/hides", "fetch(url)", 200),
    "hiding page: EventSource": Corner("/hides", EVENTS, 200),
    "hiding page: script": Corner("/hides", SCRIPT % "", 403, "origin_hidden"),
    "hiding page: script with a policy": Corner("/hides", SCRIPT % "referrerPolicy: 'origin'", 200),
    "hiding page: no-cors": Corner("/hides", NO_CORS, 403, "origin_hidden"),
    "hiding page: no-cors with a policy": Corner(
        "/hides", "fetch(url, {mode: 'no-cors', referrerPolicy: 'origin'})", 200
    ),
    "hiding page: form": Corner("/hides", FORM, 403, "origin_opaque"),
    "another port": Corner("/", "fetch(url)", 403, "origin_not_listed", other_port=True),
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Return one demo, with the routes of ``corner_site``, for all tests of this module."""
    folder = tmp_path_factory.mktemp("demo")
    with running_demo(folder, free_port(), settings="tests.browser.corner_settings") as demo:
        yield demo


@pytest.fixture
def other_port(tmp_path: Path) -> Iterator[int]:
    """Return a port where another server shows pages on all hosts."""
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", free_port()), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def log_of(demo: Demo) -> str:
    """Return what the service has logged."""
    return (demo.database.parent / f"demo-{demo.port}.log").read_text()


def responded(demo: Demo, seen: int, url: str) -> tuple[int, str | None] | None:
    """Return status and reason that the service logged for a URL after ``seen`` characters, or None."""
    log = log_of(demo)[seen:]
    found = re.search(rf'"(?:GET|POST) {re.escape(url)} HTTP/1.1" ([0-9]+)', log)
    if found is None:
        return None
    reason = re.search(r"^Refused.*: (\w+) \(", log[: found.start()], re.MULTILINE)
    return int(found[1]), reason and reason[1]


def outcome(browser: Chrome, demo: Demo, corner: Corner, number: int, page: str) -> tuple[int, str | None]:
    """Have the page send its request, and return status and reason of the response."""
    browser.get(page)
    seen = len(log_of(demo))
    key = f"key={demo.page_token}&" if corner.key_in_url else ""
    path = f"{corner.view}?{key}corner={number}"
    browser.execute_script(
        f"const [url, key] = arguments; {corner.script}", demo.url("localhost", path), demo.page_token
    )
    found = WebDriverWait(browser, PATIENCE, 0.05).until(lambda _driver: responded(demo, seen, path))
    return cast(tuple[int, str | None], found)


def test_each_kind_of_request_is_judged_by_what_the_browser_shows(
    demo: Demo, browser: Chrome, other_port: int
) -> None:
    ports = {False: demo.port, True: other_port}
    found = {
        name: outcome(
            browser, demo, corner, number, f"http://shop.localhost:{ports[corner.other_port]}{corner.page}"
        )
        for number, (name, corner) in enumerate(CORNERS.items())
    }
    assert found == {name: (corner.status, corner.reason) for name, corner in CORNERS.items()}


@pytest.mark.parametrize(
    "origin", ["chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb", "capacitor://localhost"]
)
def test_an_extension_and_an_app_are_refused_and_get_a_way_out(demo: Demo, origin: str) -> None:
    url = demo.url("localhost", f"{DRF}?key={demo.page_token}")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(url, headers={"Origin": origin}), timeout=PATIENCE)
    with caught.value as response:
        body = json.load(response)
    assert (response.status, body["reason"], body["origin"]) == (403, "origin_malformed", None)
    assert body["hint"].endswith(
        "From a browser extension or an app, send the request through your own server, with a secret key."
    )
