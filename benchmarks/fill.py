"""Creates the tables, the keys and the other packages' tokens in one database; prints the tokens as JSON.

The mass of keys is copied from one that the library made, row by row and past its models: a million
take seconds.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import django
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, transaction

from benchmarks.cases import LISTED, PAGES, PEERS, SERVERS
from benchmarks.settings import SETUP

Row = dict[str, Any]
Tokens = dict[str, list[str]]

IN_TURN = 40
"""How many keys take turns by default. One key alone flatters: its rows and what was compiled stay hot."""
MANY_IN_TURN = 200
"""How many keys take turns in the case that more of them might slow down."""
SPREAD = 20
"""How many keys take turns in the cases that measure the number of keys."""


def main() -> None:
    """Fill the database that this process's settings name."""
    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)
    keys = SETUP["keys"]
    with transaction.atomic():
        tokens = _named() | _peers()
        tokens["spread"] = _copies(keys - sum(map(len, tokens.values())))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    json.dump(tokens, sys.stdout)


def _named() -> Tokens:
    """Create the keys that cases name."""
    long = [f"https://shop{number}.example.com" for number in range(1000, 3499)]
    return {
        "listed": [_key(PAGES) for _ in range(IN_TURN)],
        "short": [_key([LISTED])],
        "long": [_key([*long, LISTED])],
        "both": [_key(PAGES, PEERS) for _ in range(IN_TURN)],
        "both_200": [_key(PAGES, PEERS) for _ in range(MANY_IN_TURN)],
        "server": [_key([], SERVERS)],
        "unknown": [f"pk_live_{'0' * 12}{'a' * 32}"],
    }


def _key(domains: list[str], ips: list[str] | None = None) -> str:
    from allowlist.models import APIKey

    _key, token = APIKey.objects.create_key(
        name="benchmark", creator=None, allowed_domains=domains, allowed_ips=ips or []
    )
    return token


def _peers() -> Tokens:
    """Create as many tokens of each installed package, by its app's label, as of ours take turns."""
    create: dict[str, Callable[[Any, Any], str]] = {
        "authtoken": lambda objects, user: objects.create(user=user).key,
        "rest_framework_api_key": lambda objects, _user: objects.create_key(name="benchmark")[1],
        "knox": lambda objects, user: objects.create(user=user)[1],
        "drf_simple_apikey": lambda objects, user: objects.create_api_key(entity=user)[1],
        "tenant_apikeys": _tenant_key,
    }
    users = [
        get_user_model()._default_manager.create(username=f"benchmark{number}") for number in range(IN_TURN)
    ]
    return {
        label: [create[label](_objects(label), user) for user in users]
        for label in create
        if label in apps.app_configs
    }


def _tenant_key(objects: Any, user: Any) -> str:
    tenants = objects.model._meta.get_field("tenant").related_model._default_manager
    tenant = tenants.create(name=user.username)
    _key, token = objects.model.generate_key(name="benchmark", tenant=tenant, allowed_ips=PEERS)
    return str(token)


def _objects(label: str) -> Any:
    """Return the manager of a package's only model for tokens."""
    names = {"Token", "APIKey", "AuthToken"}
    models = apps.get_app_config(label).get_models()
    return next(model._default_manager for model in models if model.__name__ in names)


def _copies(number: int) -> list[str]:
    """Copy the key with one domain so many times; return tokens spread over the copies."""
    token = _key([LISTED])
    key = _last("allowlist_apikey")
    domain = _last("allowlist_alloweddomain")
    assert key["locator"] == token[8:20]
    first_key, first_domain = key["id"] + 1, domain["id"] + 1
    _insert("allowlist_apikey", _key_copies(key, first_key, number))
    _insert(
        "allowlist_alloweddomain",
        ({**domain, "id": first_domain + at, "key_id": first_key + at} for at in range(number)),
    )
    return [_token(at) for at in range(0, number, max(1, number // SPREAD))][:SPREAD]


def _key_copies(key: Row, first: int, number: int) -> Iterator[Row]:
    for at in range(number):
        token = _token(at)
        digest = hashlib.sha256(token.encode()).hexdigest()
        yield {**key, "id": first + at, "locator": token[8:20], "token": token, "digest": digest}


def _token(number: int) -> str:
    """Return the token of a copy: it looks random, so that lookups spread over the whole index."""
    noise = hashlib.sha256(b"%d" % number).hexdigest()
    return f"pk_live_{noise[:44]}"


def _last(table: str) -> Row:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} ORDER BY id DESC LIMIT 1")  # noqa: S608
        names = [column[0] for column in cursor.description]
        return dict(zip(names, cursor.fetchone() or (), strict=True))


def _insert(table: str, rows: Iterator[Row]) -> None:
    first = next(rows)
    names = ", ".join(f'"{name}"' for name in first)
    values = (tuple(row.values()) for row in _with(first, rows))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for each in values:
                    copy.write_row(each)
        else:
            places = ", ".join(["%s"] * len(first))
            sql = f"INSERT INTO {table} ({names}) VALUES ({places})"  # noqa: S608
            while some := list(islice(values, 10_000)):
                cursor.executemany(sql, some)


def _with(first: Row, rows: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rows


if __name__ == "__main__":
    main()
