"""The rules for entries as forms use them, and the sentences about what is wrong with an entry."""

from collections.abc import Callable
from typing import Any

import pytest
from django import forms
from django.core.exceptions import ValidationError

from allowlist.models import APIKey
from allowlist.policy.problems import EntryError, Problem
from allowlist.validators import (
    SENTENCES,
    clean_domain,
    clean_ip,
    explained,
    shown,
    validate_domain,
    validate_ip,
)

SITES_ALONE = {"DOMAIN_MODES": ("listed",), "IP_MODES": ("listed",)}
ADDRESSES_ALONE = {"IP_FORMS": ("address",)}
ADVICE: list[tuple[Callable[[str], str], str, dict[str, Any], str]] = [
    (clean_domain, "*", {}, "To allow every website, select “Allow all domains”."),
    (clean_domain, "*", {**SITES_ALONE, "EMPTY_LIST": "allow"}, "remove all entries from the list."),
    (clean_domain, "*", {**SITES_ALONE, "EMPTY_LIST": "deny"}, "List each website that uses the key."),
    (clean_ip, "::/0", {}, "everyone's IP address. To allow every IP address, select “Allow all IPs”."),
    (clean_ip, "*", {**SITES_ALONE, "EMPTY_LIST": "allow"}, "remove all entries from the list."),
    (clean_ip, "0.0.0.0/0", {**SITES_ALONE, "EMPTY_LIST": "deny"}, "each server that uses the key."),
    (clean_ip, "8.0.0.0/7", {}, "The widest IPv4 network is a /8. Enter a narrower network."),
    (clean_ip, "8.0.0.0/7", ADDRESSES_ALONE, "isn't a single IP address. List each IP address."),
    (clean_ip, "203.0.113.0/24", ADDRESSES_ALONE, "isn't a single IP address. List each IP address."),
    (clean_ip, "203.0.113.7", {"IP_FORMS": ("network",)}, "Enter a network such as 203.0.113.0/24."),
    (
        clean_domain,
        "localhost:3000",
        {},
        "Add https:// or http://. Did you mean “https://localhost:3000” or “http://localhost:3000”?",
    ),
    (
        clean_domain,
        "localhost:3000",
        {"DOMAIN_FORMS": ("host", "wildcard")},
        "Enter the host alone, which matches every port. Did you mean “localhost”?",
    ),
    (
        clean_domain,
        ".example.com",
        {"DOMAIN_FORMS": ("origin", "host")},
        "Did you mean “https://example.com”, “http://example.com” or “example.com”?",
    ),
    (
        clean_domain,
        "example.com",
        {"DOMAIN_FORMS": ("wildcard",)},
        "can be listed here. Enter a domain in a form such as *.example.com.",
    ),
    (clean_domain, "*.com", {}, "Enter your own website, for example “your-site.com”."),
    (clean_domain, "*.com", {"DOMAIN_FORMS": ("wildcard",)}, "for example “*.your-site.com”."),
]


@pytest.mark.parametrize("problem", Problem)
def test_every_problem_has_a_sentence_that_repeats_the_text(problem: Problem) -> None:
    message = explained(EntryError(problem, "50%s")).messages[0]
    assert message.endswith(".")
    assert problem in {Problem.EMPTY, Problem.NULL} or "50%s" in message


@pytest.mark.parametrize(("clean", "text", "given", "advice"), ADVICE)
def test_an_error_advises_what_the_settings_allow(
    settings: Any, clean: Callable[[str], str], text: str, given: dict[str, Any], advice: str
) -> None:
    settings.ALLOWLIST = given
    with pytest.raises(ValidationError) as caught:
        clean(text)
    assert caught.value.messages[0].endswith(advice)


@pytest.mark.parametrize(
    ("problem", "field"), [(Problem.EVERYTHING, "domain_mode"), (Problem.EVERY_ADDRESS, "ip_mode")]
)
def test_an_error_quotes_the_mode_by_its_label(problem: Problem, field: str) -> None:
    model_field: Any = APIKey._meta.get_field(field)
    label = dict(model_field.flatchoices)["all"]
    assert f"“{label}”" in str(SENTENCES[problem])


def test_a_refused_text_is_repeated_shortened_and_printable() -> None:
    assert shown("x" * 80) == "x" * 80
    assert shown("x" * 81) == "x" * 80 + "…"
    assert shown("a\0\u202e\ud800b") == r"a\x00\u202e\ud800b"
    for text in ("https://" + "é" * 100_000, "\0" * 10, "\ud800"):
        for clean in (clean_domain, clean_ip):
            with pytest.raises(ValidationError) as caught:
                clean(text)
            assert len(caught.value.messages[0]) < 700
            assert caught.value.messages[0].isprintable()


class PlacesForm(forms.Form):
    """A project's own form."""

    site = forms.CharField(validators=[validate_domain], strip=False)
    server = forms.CharField(validators=[validate_ip], strip=False)

    def clean_site(self) -> str:
        return clean_domain(self.cleaned_data["site"])


def test_a_projects_own_form_judges_by_the_same_rules() -> None:
    form = PlacesForm({"site": "HTTPS://Shop.Example/", "server": "203.0.113.7"})
    assert form.is_valid()
    assert form.cleaned_data == {"site": "https://shop.example", "server": "203.0.113.7"}
    form = PlacesForm({"site": "shop.example\x0b", "server": "shop.example"})
    assert {field: [error.code for error in errors] for field, errors in form.errors.as_data().items()} == {
        "site": ["control"],
        "server": ["domain_as_ip"],
    }
