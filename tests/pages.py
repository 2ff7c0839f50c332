"""The admin's and the creator's pages as a browser sees them: fields of forms, errors and messages."""

from html.parser import HTMLParser
from typing import Any

from django.test import Client

Fields = dict[str, Any]
"""What a browser would send: a string by name, or a list of strings."""


class Page(HTMLParser):
    """Reads the page's longest form, its messages and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[dict[str, list[str]]] = []
        self.errors: list[str] = []
        self.messages: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self._lists: list[str] = []
        self._area: str | None = None
        self._select: str | None = None
        self.feed(html)
        longest = max(self.forms, key=len, default={})
        self.fields: Fields = {
            name: values[0] if len(values) == 1 else values for name, values in longest.items()
        }

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a form, a field, a link or a list of errors or messages."""
        held = {name: value or "" for name, value in attrs}
        name = held.get("name", "")
        if tag == "form":
            self.forms.append({})
        elif tag == "a":
            self.links.append(held.get("href", ""))
        elif tag == "ul":
            self._lists.append(held.get("class", ""))
        elif tag == "li" and self._lists:
            self._into("")
        elif tag == "textarea":
            self._area = name
            self._add(name, "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in held:
            self._add(self._select, held.get("value", ""))
        elif tag == "input" and name and self._is_sent(held):
            self._add(name, held.get("value", "on" if held.get("type") == "checkbox" else ""))

    @staticmethod
    def _is_sent(held: dict[str, str]) -> bool:
        kind = held.get("type")
        return "checked" in held if kind in ("radio", "checkbox") else kind not in ("submit", "button")

    def handle_endtag(self, tag: str) -> None:
        """Note the end of what has text in it."""
        if tag == "textarea":
            self._area = None
        elif tag == "select":
            self._select = None
        elif tag == "ul" and self._lists:
            self._lists.pop()

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data
        if self._area is not None:
            # A browser drops the first line break of a textarea.
            self.forms[-1][self._area][-1] += data.removeprefix("\r\n").removeprefix("\n")
        if self._lists and data.strip() and (found := self._found()):
            found[-1] += data.strip()

    def _found(self) -> list[str] | None:
        kind = self._lists[-1]
        return self.errors if "errorlist" in kind else self.messages if "messagelist" in kind else None

    def _into(self, text: str) -> None:
        found = self._found()
        if found is not None:
            found.append(text)

    def _add(self, name: str, value: str) -> None:
        self.forms[-1].setdefault(name, []).append(value)


class Pages:
    """A client of an admin's pages below one address."""

    def __init__(self, user: Any, base: str) -> None:
        self.client = Client()
        self.base = base
        if user is not None:
            self.client.force_login(user)

    def get(self, path: str, status: int = 200) -> Page:
        """Return a page, which must have this status."""
        response: Any = self.client.get(self.base + path)
        assert response.status_code == status, response.content.decode()[:2000]
        return Page(response.content.decode())

    def send(self, path: str, fields: Fields) -> Any:
        """Send a form and return the response."""
        return self.client.post(self.base + path, {"_save": "Save", **fields})

    def saved(self, path: str, fields: Fields) -> Page:
        """Send a form that must be saved, and return the next page."""
        response: Any = self.client.post(self.base + path, {"_continue": "Save", **fields}, follow=True)
        page = Page(response.content.decode())
        assert response.redirect_chain, (page.errors, response.status_code)
        return page

    def refused(self, path: str, fields: Fields) -> Page:
        """Send a form that must be refused, and return its page."""
        response: Any = self.send(path, fields)
        page = Page(response.content.decode())
        assert response.status_code == 200
        assert page.errors
        return page


class Admin(Pages):
    """A client of an admin site's pages about keys."""

    def __init__(self, user: Any = None, site: str = "admin") -> None:
        super().__init__(user, f"/{site}/allowlist/apikey/")


class Security(Pages):
    """A client of the creator's pages."""

    def __init__(self, user: Any = None) -> None:
        super().__init__(user, "/security/")

    def saved(self, path: str, fields: Fields) -> Page:
        """Send a form that must be accepted, and return the page that it leads to."""
        response: Any = self.client.post(self.base + path, fields, follow=True)
        page = Page(response.content.decode())
        assert response.redirect_chain, page.errors
        return page


def rows(fields: Fields, field: str, *added: tuple[str, str]) -> Fields:
    """Return ``fields`` with rows of (name, entry) typed below the rows of the list ``field``."""
    column = "domain" if field == "allowed_domains" else "ip"
    first = int(fields[f"{field}-INITIAL_FORMS"])
    typed = dict(fields)
    for index, (name, text) in enumerate(added, first):
        typed |= {f"{field}-{index}-name": name, f"{field}-{index}-{column}": text}
        typed.setdefault(f"{field}-{index}-id", "")
    typed[f"{field}-TOTAL_FORMS"] = str(max(first + len(added), int(fields[f"{field}-TOTAL_FORMS"])))
    return typed
