"""“Test a request”: the parts of a request, and what each rule of a key finds in it."""

from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, QueryDict
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..conf import settings
from ..enforcement.client_ip import client_address, ignores_header
from ..enforcement.responses import RefusalResponses
from ..models import APIKey
from ..models.entries import Entry
from ..models.explaining import KeyExplanation, read_address
from ..models.lists import DOMAINS, IPS, ListKind
from ..policy.decision import Reason, Rule
from ..policy.entries import display
from ..policy.explanation import RuleVerdict
from ..validators import near_sentence
from .blocked_section import PRIVATE, is_private
from .entry_notes import siblings
from .key_fields import HEADINGS
from .summary import IDLE

KIND_OF = {Rule.DOMAIN: DOMAINS, Rule.IP: IPS}
MOST_SIBLINGS = 3
"""How many domains are offered at once."""
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


def tested(request: HttpRequest, key: APIKey, **options: Any) -> dict[str, Any]:
    """Return what the page shows: its form, with these ``options``, and what the request in it would get."""
    sent = request.GET if "ip" in request.GET else None
    form = RequestForm(sent, initial={"ip": client_address(request)}, **options)
    shown: dict[str, Any] = {"form": form, "how_we_see": _how_we_see(request)}
    if form.is_bound and form.is_valid():
        found = form.explanation(key)
        shown |= {"found": found, "lines": rule_lines(found), "key_hint": key_hint(found)}
    return shown


def list_to_extend(sent: QueryDict) -> ListKind:
    """Return the list that a suggested entry is added to."""
    return DOMAINS if sent.get("list") == DOMAINS.field else IPS


def _how_we_see(request: HttpRequest) -> str:
    """Return which IP address this request comes from, as we see it, and what is wrong if we can't."""
    address = client_address(request)
    if address is None:
        return _(
            "We can't see your IP address. The operator of this site can check TRUSTED_PROXIES and "
            "CLIENT_IP_HEADER."
        )
    if ignores_header(request):
        return _(
            "We see you as %(address)s. If that is a proxy's IP address and not yours, the operator of this "
            "site must add it to TRUSTED_PROXIES: your request has a header %(header)s, which we only read "
            "if a trusted proxy sends it."
        ) % {"address": address, "header": settings().CLIENT_IP_HEADER}
    return _("We see you as %(address)s.") % {"address": address}


def rule_lines(found: KeyExplanation) -> list[dict[str, Any]]:
    """Return what each rule finds: a heading, a sentence, and the entries that come near."""
    seen = {Rule.DOMAIN: found.page, Rule.IP: found.ip or ""}
    return [
        {
            "kind": KIND_OF[verdict.rule],
            "heading": HEADINGS[KIND_OF[verdict.rule].field],
            "verdict": VERDICTS[verdict.passed],
            "sentence": _rule_sentence(verdict, found.ip or ""),
            "nearest": [
                {"sentence": near_sentence(near, seen[verdict.rule]), "suggestion": near.suggestion}
                for near in verdict.nearest
            ],
        }
        for verdict in found.rules
    ]


def _rule_sentence(verdict: RuleVerdict, ip: str) -> str:
    """Return what the rule finds; nothing if the entries that come near say it better."""
    if verdict.reason is not None:
        if verdict.reason is Reason.IP_NOT_LISTED and is_private(ip):
            return str(PRIVATE)
        return "" if verdict.nearest else RefusalResponses().get_hint(verdict.reason)
    if verdict.entry is not None:
        return _("“%(entry)s” is listed and matches.") % {"entry": display(verdict.entry)}
    return _("This list doesn't count for this request.")


def key_hint(found: KeyExplanation) -> str:
    """Return what is wrong if the key itself is refused."""
    if found.reason is None or found.reason.rule is not Rule.KEY:
        return ""
    idle = IDLE.get(found.key_status)
    return str(idle) if idle else RefusalResponses().get_hint(found.reason)


def sibling_offers(key: APIKey, added: list[Entry], url: str) -> Iterator[SafeString]:
    """Yield an offer of www.example.com where example.com was added, and the other way round.

    Each has a link to the page at ``url``, on which requests are tested.
    """
    listed = [entry.text for entry in key.allowed_domains.all()]
    for entry, page in islice(siblings(added, listed), MOST_SIBLINGS):
        sentence = _("“%(entry)s” doesn't match %(page)s. Do you use that too?") % {
            "entry": display(entry.text),
            "page": display(str(page)),
        }
        query = urlencode({"origin": page, "ip": ""})
        yield format_html('{} <a href="{}?{}">{}</a>', sentence, url, query, _("Add it"))
