"""The subcommands that say what a key allows, and what it refused."""

from collections.abc import Iterator

from django.core.management import CommandError
from django.utils.translation import gettext as _

from ..api.blocked import BlockedSourceSerializer
from ..api.check import explanation_data
from ..enforcement.responses import RefusalResponses
from ..models.explaining import KeyExplanation, read_address
from ..models.suggestions import Suggestions
from ..policy.decision import Reason, Rule
from ..policy.entries import display
from ..policy.explanation import RuleVerdict
from ..validators import near_sentence
from .calls import Call
from .tables import moment, pairs, safe, table

HEADERS = ("origin", "referer", "sec_fetch_site")


def explain(call: Call) -> None:
    """Print what a request would get; raise CommandError if it would be blocked."""
    key = call.key()
    try:
        address = read_address(call.options["ip"])
    except ValueError:
        sentence = _("“%(ip)s” isn't an IP address. Write one such as 203.0.113.7.")
        raise CommandError(sentence % {"ip": safe(call.options["ip"])}) from None
    found = key.explain(**{name: call.options[name] for name in HEADERS}, ip=address)
    call.say(pairs(_lines(found)), explanation_data(found))
    if found.reason is not None:
        raise CommandError(_blocked_sentence(found, found.reason))


def _lines(found: KeyExplanation) -> Iterator[tuple[str, object]]:
    """Yield what people read about a request: a label and its value."""
    yield _("Result"), _result(found)
    yield _("Key"), found.key_status
    yield _("Page"), display(found.page)
    yield _("IP"), found.ip or _("unknown")
    labels = {Rule.DOMAIN: _("Domains"), Rule.IP: _("IPs")}
    seen = {Rule.DOMAIN: found.page, Rule.IP: found.ip or ""}
    for verdict in found.rules:
        yield labels[verdict.rule], _verdict(verdict)
        for near in verdict.nearest:
            yield "", near_sentence(near, seen[verdict.rule])


def _result(found: KeyExplanation) -> str:
    if found.reason is None:
        return _("allowed")
    return _("blocked, but served: the key only monitors") if found.served else _("blocked")


def _verdict(verdict: RuleVerdict) -> str:
    if not verdict.applies:
        return _("not checked")
    if verdict.reason is None:
        return _("passed: “%(entry)s” is listed") % {"entry": display(verdict.entry or "")}
    hint = RefusalResponses().get_hint(verdict.reason)
    return _("failed: %(reason)s. %(hint)s") % {"reason": verdict.reason, "hint": hint}


def _blocked_sentence(found: KeyExplanation, reason: Reason) -> str:
    """Return why the request is blocked, and what to do about it."""
    if reason is Reason.KEY_INVALID:
        sentence = _("Blocked: %(reason)s. The key's status is “%(status)s”.")
        return sentence % {"reason": reason, "status": found.key_status}
    hint = RefusalResponses().get_hint(reason)
    return _("Blocked: %(reason)s. %(hint)s") % {"reason": reason, "hint": hint}


def blocked(call: Call) -> None:
    """Print what a key refused, the newest first."""
    key = call.key()
    rows = list(key.blocked_sources.using(call.alias))
    data = BlockedSourceSerializer(rows, many=True, context={"suggestions": Suggestions(key)}).data
    headings = (_("REQUESTS"), _("LAST SEEN"), _("REASON"), _("FROM"))
    shown = [(row.count, moment(row.last_seen_at), row.reason, display(row.origin) or row.ip) for row in rows]
    call.say(table(headings, shown), [dict(each) for each in data])
