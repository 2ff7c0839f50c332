"""The subcommands that say what a key allows, and what it refused."""

from collections.abc import Iterator

from django.core.management import CommandError
from django.utils.translation import gettext as _

from ..api.blocked import BlockedSourceSerializer
from ..api.check import explanation_data
from ..enforcement.responses import RefusalResponses
from ..forms.trial import key_hint, rule_lines
from ..models.explaining import KeyExplanation, read_address
from ..models.suggestions import Suggestions
from ..policy.decision import Reason
from ..policy.entries import display
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
        sentence = _("Blocked: %(reason)s. %(hint)s")
        raise CommandError(sentence % {"reason": found.reason, "hint": _hint(found, found.reason)})


def _lines(found: KeyExplanation) -> Iterator[tuple[str, object]]:
    """Yield what people read about a request: a label and its value."""
    yield _("Result"), _result(found)
    yield _("Key"), found.key_status
    yield _("Page"), display(found.page)
    yield _("IP"), found.ip or _("unknown")
    for line in rule_lines(found):
        yield line["heading"], f"{line['verdict']}. {line['sentence']}"
        for near in line["nearest"]:
            yield "", near["sentence"]


def _result(found: KeyExplanation) -> str:
    if found.reason is None:
        return _("allowed")
    return _("blocked, but served: the key only monitors") if found.served else _("blocked")


def _hint(found: KeyExplanation, reason: Reason) -> str:
    return key_hint(found) or RefusalResponses().get_hint(reason)


def blocked(call: Call) -> None:
    """Print what a key refused, the newest first."""
    key = call.key()
    rows = list(key.blocked_sources.using(call.alias))
    data = BlockedSourceSerializer(rows, many=True, context={"suggestions": Suggestions(key)}).data
    headings = (_("REQUESTS"), _("LAST SEEN"), _("REASON"), _("FROM"))
    shown = [(row.count, moment(row.last_seen_at), row.reason, display(row.origin) or row.ip) for row in rows]
    call.say(table(headings, shown), [dict(each) for each in data])
