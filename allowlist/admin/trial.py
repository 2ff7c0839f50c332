"""“Test a request”: what a request with a key would get, rule by rule, and what would allow it."""

from itertools import islice
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..enforcement.client_ip import client_address
from ..enforcement.responses import RefusalResponses
from ..models import APIKey
from ..models.entries import Entry
from ..models.explaining import KeyExplanation, read_address
from ..models.lists import DOMAINS, IPS, ListKind
from ..policy.decision import Rule
from ..policy.entries import display
from ..policy.explanation import RuleVerdict
from ..signals import acting_as
from ..validators import near_sentence
from .entry_notes import siblings
from .inlines import EntryInline
from .layout import HEADINGS
from .ownership import check_owner
from .step_pages import StepsMixin
from .summary import IDLE

MOST_SIBLINGS = 3
"""How many domains are offered at once."""
KIND_OF = {Rule.DOMAIN: DOMAINS, Rule.IP: IPS}

VERDICTS = {
    True: gettext_lazy("passed"),
    False: gettext_lazy("failed"),
    None: gettext_lazy("not checked"),
}


class RequestForm(forms.Form):
    """The parts of a request that a key judges."""

    origin = forms.CharField(
        required=False,
        strip=False,
        help_text=gettext_lazy("The website, such as https://www.example.com. Empty: the header isn't sent."),
        widget=forms.TextInput(attrs={"size": 50}),
    )
    referer = forms.CharField(
        required=False,
        strip=False,
        help_text=gettext_lazy("The page's URL. It counts only if there is no Origin."),
        widget=forms.TextInput(attrs={"size": 50}),
    )
    sec_fetch_site = forms.ChoiceField(
        label="Sec-Fetch-Site",
        required=False,
        choices=[("", "-"), *((each, each) for each in ("cross-site", "same-site", "same-origin", "none"))],
        help_text=gettext_lazy("Browsers send it, even if they hide their page."),
    )
    ip = forms.CharField(
        label=gettext_lazy("IP address"),
        required=False,
        help_text=gettext_lazy("The client's IP address. Empty: it is unknown."),
    )

    def clean_ip(self) -> Any:
        """Return the address, None if it is unknown."""
        try:
            return read_address(self.cleaned_data["ip"] or None)
        except ValueError:
            raise ValidationError(_("Enter an IP address such as 203.0.113.7."), code="invalid") from None

    def explanation(self, key: APIKey) -> KeyExplanation:
        """Return what the request would get with the key."""
        typed = self.cleaned_data
        headers = {name: typed[name] or None for name in ("origin", "referer", "sec_fetch_site")}
        return key.explain(**headers, ip=typed["ip"])


def rule_lines(found: KeyExplanation) -> list[dict[str, Any]]:
    """Return what each rule finds: a heading, a sentence, and the entries that come near."""
    seen = {Rule.DOMAIN: found.page, Rule.IP: found.ip or ""}
    return [
        {
            "kind": KIND_OF[verdict.rule],
            "heading": HEADINGS[KIND_OF[verdict.rule].field],
            "verdict": VERDICTS[verdict.passed],
            "sentence": _rule_sentence(verdict),
            "nearest": [
                {"sentence": near_sentence(near, seen[verdict.rule]), "suggestion": near.suggestion}
                for near in verdict.nearest
            ],
        }
        for verdict in found.rules
    ]


def _rule_sentence(verdict: RuleVerdict) -> str:
    if verdict.reason is not None:
        return RefusalResponses().get_hint(verdict.reason)
    if verdict.entry is not None:
        return _("“%(entry)s” is listed and matches.") % {"entry": display(verdict.entry)}
    return _("This list doesn't count for this request.")


def _key_hint(found: KeyExplanation) -> str:
    """Return what is wrong if the key itself is refused."""
    if found.reason is None or found.reason.rule is not Rule.KEY:
        return ""
    idle = IDLE.get(found.key_status)
    return str(idle) if idle else RefusalResponses().get_hint(found.reason)


class TrialMixin(StepsMixin):
    """The page on which a request is tested."""

    def get_urls(self) -> list[URLPattern]:
        """Return the admin's routes and that of the page."""
        view = self.admin_site.admin_view(self.test_view)
        return [path("<path:object_id>/test/", view, name="allowlist_apikey_test"), *super().get_urls()]

    def test_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what a request would get; on POST, add a suggested entry."""
        key = self.get_object(request, object_id)
        if not self.has_view_permission(request, key):
            raise PermissionDenied
        if request.method == "POST":
            return self._add(request, key)
        address = client_address(request)
        form = RequestForm(request.GET if "ip" in request.GET else None, initial={"ip": address})
        context: dict[str, Any] = {"form": form, "address": address}
        if form.is_bound and form.is_valid():
            found = form.explanation(key)
            lines = rule_lines(found)
            for line in lines:
                line["may_add"] = self._may_add(request, key, line["kind"])
            context |= {"found": found, "lines": lines}
            context["key_hint"] = _key_hint(found)
        return self.key_page(request, key, "test", _("Test a request: %(key)s") % {"key": key}, **context)

    def offer_siblings(self, request: HttpRequest, key: APIKey, added: list[Entry]) -> None:
        """Offer www.example.com where example.com was added, and the other way round."""
        listed = [entry.text for entry in key.allowed_domains.all()]
        for entry, page in islice(siblings(added, listed), MOST_SIBLINGS):
            url = reverse(f"{self.admin_site.name}:allowlist_apikey_test", args=[key.pk])
            sentence = _("“%(entry)s” doesn't match %(page)s. Do you use that too?") % {
                "entry": display(entry.text),
                "page": display(str(page)),
            }
            query = urlencode({"origin": page, "ip": ""})
            messages.info(
                request, format_html('{} <a href="{}?{}">{}</a>', sentence, url, query, _("Add it"))
            )

    def _may_add(self, request: HttpRequest, key: APIKey, kind: ListKind) -> bool:
        lists = [each for each in self.get_inline_instances(request, key) if isinstance(each, EntryInline)]
        adding = [each.model.kind for each in lists if each.has_add_permission(request, key)]
        return kind in adding and self.has_change_permission(request, key)

    def _add(self, request: HttpRequest, key: APIKey) -> HttpResponse:
        kind = DOMAINS if request.POST.get("list") == DOMAINS.field else IPS
        if not self._may_add(request, key, kind):
            raise PermissionDenied
        try:
            with acting_as(request.user), key.editing() as edit:
                check_owner(request, key)
                added = edit.list(kind).add([request.POST.get("entry", "")])
                said = [
                    {"added": {"name": str(each._meta.verbose_name), "object": str(each)}}
                    for each in added.entries
                ]
                self.log_change(request, key, said)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        return HttpResponseRedirect(request.get_full_path())
