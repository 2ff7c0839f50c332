"""System checks: a wrong or risky set-up is told at start, with what to do."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core import checks
from django.core.checks import CheckMessage, register
from django.middleware.common import CommonMiddleware
from django.utils.module_loading import import_string

from .conf import errors, import_errors, settings


@register()
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Return an error for each thing that is wrong with ``ALLOWLIST``."""
    given = getattr(django_settings, "ALLOWLIST", {})
    sentences = list(errors(given)) or list(import_errors(given))
    return [checks.Error(sentence, id="allowlist.E001") for sentence in sentences]


@register()
def check_cors(**kwargs: Any) -> list[CheckMessage]:
    """Return warnings where django-cors-headers would keep browsers' widgets from working."""
    if not apps.is_installed("corsheaders") or check_settings():
        return []
    return [*_cors_warnings(), *_middleware_warnings()]


def _cors_warnings() -> Iterator[CheckMessage]:
    from corsheaders.conf import conf

    header = settings().KEY_HEADER
    if header.lower() not in {name.lower() for name in conf.CORS_ALLOW_HEADERS}:
        yield checks.Warning(
            f"CORS_ALLOW_HEADERS lacks {header!r}, so browsers will not send a widget's key.",
            hint=f"Set CORS_ALLOW_HEADERS = (*corsheaders.defaults.default_headers, {header.lower()!r}).",
            id="allowlist.W001",
        )
    if conf.CORS_ALLOW_CREDENTIALS:
        yield checks.Warning(
            "CORS_ALLOW_CREDENTIALS is on, and views that IsAllowlisted guards are open to pages of "
            "any origin: a page could read what they answer to a visitor's cookies.",
            hint="Let such views authenticate by key alone: authentication_classes = [APIKeyAuthentication].",
            id="allowlist.W002",
        )


def _middleware_warnings() -> Iterator[CheckMessage]:
    from corsheaders.middleware import CorsMiddleware

    classes = [_imported(path) for path in django_settings.MIDDLEWARE]
    at = [isinstance(each, type) and issubclass(each, CorsMiddleware) for each in classes]
    if not any(at):
        problem = "MIDDLEWARE lacks it"
    elif CommonMiddleware in classes[: at.index(True)]:
        problem = "in MIDDLEWARE it stands after CommonMiddleware, which redirects some requests before it"
    else:
        return
    yield checks.Warning(
        f"django-cors-headers is installed, but {problem}: browsers will keep its answers from a widget.",
        hint="Put 'corsheaders.middleware.CorsMiddleware' first in MIDDLEWARE.",
        id="allowlist.W006",
    )


def _imported(path: str) -> Any:
    """Return what ``path`` names, None where it names nothing: Django itself will say so."""
    try:
        return import_string(path)
    except ImportError:
        return None


@register()
def check_sqlite(**kwargs: Any) -> list[CheckMessage]:
    """Return a warning where SQLite would lock writers out under ``ATOMIC_REQUESTS``."""
    return [
        checks.Warning(
            f"Database {alias!r} is SQLite with ATOMIC_REQUESTS: of people who change lists at the same "
            "moment, most would get 'database is locked'.",
            hint="Set OPTIONS = {'transaction_mode': 'IMMEDIATE'} for it.",
            id="allowlist.W003",
        )
        for alias, database in django_settings.DATABASES.items()
        if database.get("ENGINE", "").endswith("sqlite3")
        and database.get("ATOMIC_REQUESTS")
        and database.get("OPTIONS", {}).get("transaction_mode") != "IMMEDIATE"
    ]


@register()
def check_freshness(**kwargs: Any) -> list[CheckMessage]:
    """Return a warning where FRESHNESS can save nothing: what is read in a transaction is not kept."""
    if check_settings() or settings().FRESHNESS is None:
        return []
    return [
        checks.Warning(
            f"Database {alias!r} has ATOMIC_REQUESTS, so ALLOWLIST['FRESHNESS'] saves it no query: nothing "
            "that is read in a transaction is kept.",
            hint="Turn ATOMIC_REQUESTS off, decorate the guarded views with transaction.non_atomic_requests, "
            "or leave FRESHNESS out.",
            id="allowlist.W005",
        )
        for alias, database in django_settings.DATABASES.items()
        if database.get("ATOMIC_REQUESTS")
    ]


@register(deploy=True)
def check_connections(**kwargs: Any) -> list[CheckMessage]:
    """Return a warning where every request opens a connection anew (4 to 5 ms on PostgreSQL)."""
    return [
        checks.Warning(
            f"Database {alias!r} is connected to anew at every request, which costs more than the check "
            "of a key does.",
            hint="Set CONN_MAX_AGE, or under ASGI, where connections must not last, a connection pool.",
            id="allowlist.W004",
        )
        for alias, database in django_settings.DATABASES.items()
        if not database.get("ENGINE", "sqlite3").endswith("sqlite3")
        and database.get("CONN_MAX_AGE", 0) == 0
        and "pool" not in database.get("OPTIONS", {})
    ]
