"""What two tenants are served, printed as JSON. Run as a process: its settings are of its own.

The tenants' keys have the same primary key. Each step is asked for twice, so that what was cached of
one tenant could serve the other.
"""

import json
from datetime import timedelta
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.db.models import QuerySet  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402
from django_tenants.utils import schema_context  # noqa: E402

from allowlist.conf import settings  # noqa: E402
from allowlist.enforcement import blocked, lookup, usage  # noqa: E402
from allowlist.models import APIKey, BlockedSource  # noqa: E402
from allowlist.policy.decision import ALLOWED  # noqa: E402
from allowlist.policy.tokens import Token  # noqa: E402
from tests.tenants.models import Domain, Tenant  # noqa: E402

PAGES = {"a": "https://a.example", "b": "https://b.example"}


def make_tenant(name: str) -> str:
    """Create a tenant with one key, and return the key's token."""
    tenant = Tenant(schema_name=name, name=name)
    tenant.save()
    Domain.objects.create(domain=f"{name}.test", tenant=tenant)
    with schema_context(name):
        key, token = APIKey.objects.create_key(name=name, creator=None, allowed_domains=[PAGES[name]])
        assert key.pk == 1
        used(timezone.now())
    return token


def used(at: Any) -> None:
    """Write when the tenant's key was used, and announce nothing."""
    QuerySet(APIKey).update(last_used_at=at)


def ask(tenant: str, token: str = "", url: str = "/", page: str | None = None) -> Any:
    """Return the key that served a request, or the reason of the refusal; of the last of two."""
    headers = {"X-API-Key": token, "Origin": page or PAGES[tenant], "Host": f"{tenant}.test"}
    _first, answer = (Client().get(url, headers=headers) for _time in range(2))
    body = answer.json()
    return body.get("key") or body.get("reason") or answer.status_code


def last_use_is_unchanged(token: str) -> bool:
    """Return whether a use written once the tenant has changed leaves the other tenant's key alone."""
    now, before = timezone.now(), timezone.now() - timedelta(hours=1)
    with schema_context("b"):
        used(before)
    with schema_context("a"):
        used(before)
        parsed = Token.parse(token)
        assert parsed
        found = lookup.find_by_token(parsed, now)
        assert found
    with schema_context("b"):
        usage.note_use(found, ALLOWED, now)
        with transaction.atomic():
            connection.settings_dict["ATOMIC_REQUESTS"] = True
            usage.note_use(found, ALLOWED, now)
        connection.settings_dict["ATOMIC_REQUESTS"] = False
        return QuerySet(APIKey).get().last_used_at == before


def blocked_in_tenants(tokens: dict[str, str]) -> list[dict[str, int]]:
    """Return what each tenant's key is stored to have refused, counted in turn, read and flushed."""
    blocked.reset()
    for _ in range(2):
        ask("a", tokens["a"], page="https://c.example")
    ask("b", tokens["b"], page="https://d.example")
    with schema_context("a"):
        assert BlockedSource.objects.count() == 1
        assert {name.schema for name in blocked._sums.waiting()} == {"b"}
    ask("a", tokens["a"], page="https://c.example")
    for _ in PAGES:  # Each statement of django-tenants takes two, of twenty a flush.
        blocked.flush()
    stored = []
    for name in PAGES:
        with schema_context(name):
            stored.append(dict(QuerySet(BlockedSource).values_list("origin", "count")))
    return stored


def main() -> None:
    """Print what each step gives."""
    call_command("migrate_schemas", verbosity=0)
    tokens = {name: make_tenant(name) for name in PAGES}
    told: dict[str, Any] = {
        "own keys": [ask(name, token) for name, token in tokens.items()],
        "the other's key": [ask("b", tokens["a"], page=PAGES["a"]), ask("a", tokens["b"], page=PAGES["b"])],
        "by number": [ask(name, url="/by-number/?number=1") for name in tokens],
        "the other's page": [ask(name, token, page="https://c.example") for name, token in tokens.items()],
        "throttled": [ask(name, token, "/throttled/") for name, token in tokens.items()],
        "throttled again": [ask(name, token, "/throttled/") for name, token in tokens.items()],
    }
    with schema_context("a"):
        APIKey.objects.get().restrict_domains(["https://new.example"])
    if settings().FRESHNESS == "postgres":  # It pushes the change some milliseconds later.
        assert any(ask("a", tokens["a"]) == "origin_not_listed" for _ in range(1000))
    told["after a's change"] = [ask(name, token) for name, token in tokens.items()]
    told["by number, after a's change"] = [ask(name, url="/by-number/?number=1") for name in tokens]
    told["the other's last use is unchanged"] = last_use_is_unchanged(tokens["a"])
    told["blocked"] = blocked_in_tenants(tokens)
    print(json.dumps(told))


main()
