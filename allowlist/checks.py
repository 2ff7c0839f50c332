"""System checks: report a wrong or risky setup at start, with what to do about it."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core import checks
from django.core.checks import CheckMessage, register
from django.db import router
from django.middleware.common import CommonMiddleware
from django.utils.module_loading import import_string
from django.views.debug import SafeExceptionReporterFilter, get_default_exception_reporter_filter

from .conf import EMBED_HEADER, errors, import_errors, settings
from .policy.decision import Condition
from .push import listening_problem


@register()
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Return an error for each thing that is wrong with ``ALLOWLIST``."""
    given = getattr(django_settings, "ALLOWLIST", {})
    sentences = list(errors(given)) or list(import_errors(given))
    return [checks.Error(sentence, id="allowlist.E001") for sentence in sentences]


@register()
def check_error_reports(**kwargs: Any) -> list[CheckMessage]:
    """Return a warning if Django's error reports would print a request's token."""
    reporter = get_default_exception_reporter_filter()
    if check_settings() or not isinstance(reporter, SafeExceptionReporterFilter):
        return []
    conf, hidden = settings(), reporter.hidden_settings
    if hidden.search(conf.key_meta):
        return []
    words = ", ".join(word for word in hidden.pattern.split("|") if not word.startswith("HTTP_"))
    return [
        checks.Warning(
            f"Django's error reports would print every token that is sent in {conf.KEY_HEADER!r}: they hide "
            f"a header only if its name contains one of {words}.",
            hint=f"Set ALLOWLIST['KEY_HEADER'] to a name such as '{conf.KEY_HEADER}-Key'.",
            id="allowlist.W007",
        )
    ]


@register()
def check_cors(**kwargs: Any) -> list[CheckMessage]:
    """Return a warning for each setting of django-cors-headers that breaks or endangers widgets."""
    if not apps.is_installed("corsheaders") or check_settings():
        return []
    return [*_cors_warnings(), *_middleware_warnings()]


def _cors_warnings() -> Iterator[CheckMessage]:
    from corsheaders.conf import conf

    header, let_through = settings().KEY_HEADER, {name.lower() for name in conf.CORS_ALLOW_HEADERS}
    if header.lower() not in let_through:
        yield checks.Warning(
            f"CORS_ALLOW_HEADERS doesn't contain {header!r}, so browsers won't send a widget's key.",
            hint=f"Set CORS_ALLOW_HEADERS = (*corsheaders.defaults.default_headers, {header.lower()!r}).",
            id="allowlist.W001",
        )
    if EMBED_HEADER.lower() not in let_through:
        yield checks.Warning(
            f"CORS_ALLOW_HEADERS doesn't contain {EMBED_HEADER!r}, so frames can't call a host other than "
            "their own.",
            hint=f"Add {EMBED_HEADER.lower()!r} to it, or silence this check in SILENCED_SYSTEM_CHECKS if "
            "you don't use @embeddable.",
            id="allowlist.W009",
        )
    if conf.CORS_ALLOW_CREDENTIALS:
        yield checks.Warning(
            "CORS_ALLOW_CREDENTIALS is True, and pages of any origin can call the views that IsAllowlisted "
            "guards. Such a page could read what these views return for a visitor's cookies.",
            hint="Let these views authenticate by key alone: "
            "authentication_classes = [APIKeyAuthentication].",
            id="allowlist.W002",
        )


def _middleware_warnings() -> Iterator[CheckMessage]:
    from corsheaders.middleware import CorsMiddleware

    classes = [_imported(path) for path in django_settings.MIDDLEWARE]
    at = [isinstance(each, type) and issubclass(each, CorsMiddleware) for each in classes]
    if not any(at):
        problem = "its middleware is missing from MIDDLEWARE"
    elif CommonMiddleware in classes[: at.index(True)]:
        problem = "its middleware comes after CommonMiddleware, which redirects some requests first"
    else:
        return
    yield checks.Warning(
        f"django-cors-headers is installed, but {problem}. Browsers won't let a widget read its responses.",
        hint="Put 'corsheaders.middleware.CorsMiddleware' first in MIDDLEWARE.",
        id="allowlist.W006",
    )


def _imported(path: str) -> Any:
    """Return what ``path`` names, or None if nothing is there, which Django itself reports."""
    try:
        return import_string(path)
    except ImportError:
        return None


@register()
def check_sqlite(**kwargs: Any) -> list[CheckMessage]:
    """Return a warning for each SQLite database that locks writers out under ``ATOMIC_REQUESTS``."""
    return [
        checks.Warning(
            f"Database {alias!r} is SQLite with ATOMIC_REQUESTS. If several people change lists at the "
            "same moment, most of them get 'database is locked'.",
            hint="Set OPTIONS = {'transaction_mode': 'IMMEDIATE'} for this database.",
            id="allowlist.W003",
        )
        for alias, database in django_settings.DATABASES.items()
        if database.get("ENGINE", "").endswith("sqlite3")
        and database.get("ATOMIC_REQUESTS")
        and database.get("OPTIONS", {}).get("transaction_mode") != "IMMEDIATE"
    ]


@register()
def check_freshness(**kwargs: Any) -> list[CheckMessage]:
    """Return a warning for each database on which ``FRESHNESS`` saves no query."""
    if check_settings() or settings().FRESHNESS is None:
        return []
    return [
        checks.Warning(
            f"Database {alias!r} has ATOMIC_REQUESTS, so ALLOWLIST['FRESHNESS'] saves no query there: "
            "nothing that is read in a transaction is cached.",
            hint="Disable ATOMIC_REQUESTS, decorate the guarded views with "
            "transaction.non_atomic_requests, or remove FRESHNESS.",
            id="allowlist.W005",
        )
        for alias, database in django_settings.DATABASES.items()
        if database.get("ATOMIC_REQUESTS")
    ]


@register()
def check_listening(**kwargs: Any) -> list[CheckMessage]:
    """Return an error if ``FRESHNESS`` is PostgreSQL, but changes of keys can't be heard of there."""
    if check_settings() or settings().FRESHNESS is None:
        return []
    alias = router.db_for_write(apps.get_model("allowlist", "APIKey"))
    problem = listening_problem(str(settings().FRESHNESS), alias)
    return [] if problem is None else [checks.Error(problem, hint=_LISTENING_HINT, id="allowlist.E003")]


_LISTENING_HINT = (
    "Without a change here, every request queries the database. Set FRESHNESS to 'postgres' if keys are in "
    "PostgreSQL, to 'postgres:<alias>' if another alias connects to the same database without a pooler, to "
    "a Redis URL, or to None."
)


@register(deploy=True)
def check_connections(**kwargs: Any) -> list[CheckMessage]:
    """Return a warning for each database that every request connects to (4 to 5 ms on PostgreSQL)."""
    return [
        checks.Warning(
            f"Every request connects to database {alias!r} again, which takes longer than checking a key.",
            hint="Set CONN_MAX_AGE. Under ASGI, where connections must not persist, use a connection pool.",
            id="allowlist.W004",
        )
        for alias, database in django_settings.DATABASES.items()
        if not database.get("ENGINE", "sqlite3").endswith("sqlite3")
        and database.get("CONN_MAX_AGE", 0) == 0
        and "pool" not in database.get("OPTIONS", {})
    ]


@register(deploy=True)
def check_plain_http(**kwargs: Any) -> list[CheckMessage]:
    """Return a warning if a page on plain http could pass for a server.

    A browser sends no ``Sec-Fetch-Site`` over plain http. ``by_source`` counts only if the project sets
    ``CONDITIONS`` itself, since the default offers it to everyone.
    """
    if check_settings() or django_settings.SECURE_SSL_REDIRECT or django_settings.SECURE_HSTS_SECONDS:
        return []
    given = getattr(django_settings, "ALLOWLIST", {})
    if given.get("MISSING_ORIGIN") == "allow":
        setting = "ALLOWLIST['MISSING_ORIGIN'] = 'allow'"
    elif Condition.BY_SOURCE in given.get("CONDITIONS", ()):
        setting = "ALLOWLIST['CONDITIONS'] with 'by_source'"
    else:
        return []
    return [
        checks.Warning(
            f"{setting} relies on telling browsers from servers. Over plain http, a page can hide that it is "
            "a browser and pass for a server.",
            hint="Set SECURE_SSL_REDIRECT = True or SECURE_HSTS_SECONDS. If a proxy redirects to https, "
            "silence this check in SILENCED_SYSTEM_CHECKS.",
            id="allowlist.W008",
        )
    ]
