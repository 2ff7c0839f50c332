"""What the pages say about a key: its status, what it allows, how it is used and what it blocked."""

from typing import Any

from django.http import HttpRequest

from ..forms.steps import STEPS
from ..forms.summary import STATUS_LABELS, count_entries, is_open, old_token_until, summary
from ..models import APIKey
from ..models.choices import Enforcement, Status
from ..models.explaining import status_here
from ..models.lists import KINDS


def line_of(key: APIKey) -> dict[str, Any]:
    """Return what the list of keys says about a key read by ``with_counts`` and ``with_blocked``."""
    return {"key": key, **state_of(key), "blocked": key.blocked_count}  # type: ignore[attr-defined]


def state_of(key: APIKey) -> dict[str, Any]:
    """Return a key's status and what it allows, in words. The key must have been read by ``with_counts``."""
    counts = [count_entries(key, kind) for kind in KINDS]
    return {
        "key_status": status_here(key),
        "status_label": STATUS_LABELS[status_here(key)],
        "summary": summary(key, *counts),
        "is_open": key.status == Status.ACTIVE and is_open(key, *(count.total for count in counts)),
        "is_monitoring": key.enforcement == Enforcement.REPORT,
    }


def steps_of(request: HttpRequest, key: APIKey, sections: list[Any]) -> dict[str, Any]:
    """Return the steps that a key's page offers, having given each section its own."""
    offered = [step for step in STEPS if not step.is_done(request.user, key)]
    for section in sections:
        section.steps = [step for step in offered if step.kind is section.kind]
    return {
        "steps": [step for step in offered if step.kind is None],
        "old_token_until": old_token_until(key),
    }
