"""Runs the benchmark in this Python; ``run.py`` starts it in an environment with the other packages."""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import chart, databases, load, report
from benchmarks.cases import BARE, CASES, ENGINES, FEW, HAS, HUGE, REDIS_URL, Case
from benchmarks.measure import Database, Figures, Scene, measure
from benchmarks.processes import ROOT, fill

PAGE = ROOT / "docs/explanation/figures.md"
CHART = ROOT / "docs/_static/added.svg"
PACKAGES = (
    "Django",
    "djangorestframework",
    "psycopg",
    "redis",
    "gunicorn",
    "uvicorn",
    "djangorestframework-api-key",
    "django-rest-knox",
    "drf-simple-apikey",
    "django-cors-headers",
    "drf-ip-restrictions",
    "django-tenant-apikeys",
)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description="Measures what a check costs.")
    parser.add_argument("--quick", action="store_true", help="a minute or two; only prints the tables")
    parser.add_argument("--large", action="store_true", help="also measure a million keys")
    parser.add_argument("--cases", type=_names, default=[], help="comma-separated, of: " + _all_names())
    parser.add_argument("--databases", type=_names, default=list(ENGINES), help="of: sqlite,postgres")
    parser.add_argument(
        "--rounds",
        type=int,
        help="in-process (100, with --quick 10); over HTTP a tenth",
    )
    parser.add_argument("--no-http", action="store_true", help="in-process only")
    parser.add_argument("--skipped", type=json.loads, default={}, help=argparse.SUPPRESS)
    return parser.parse_args()


def _names(text: str) -> list[str]:
    return text.split(",")


def _all_names() -> str:
    return ", ".join(case.name for case in CASES)


def main() -> None:
    """Measure the chosen cases, print the tables, and write them and their chart after a complete run."""
    options = _options()
    skipped: dict[str, str] = dict(options.skipped)
    cases = list(_chosen(options, skipped))
    if reason := load.absent():
        options.no_http = True
        skipped["everything over HTTP"] = reason
    rounds = options.rounds or (10 if options.quick else 100)
    figures: list[Figures] = []
    for engine in options.databases:
        if reason := databases.absent(engine):
            skipped[engine] = reason
        else:
            figures += _figures(engine, cases, rounds, options)
    lines = [*_about(rounds, skipped), *report.tables(figures)]
    print("\n".join(lines))
    if not (options.quick or options.cases or options.no_http or set(ENGINES) - set(options.databases)):
        report.write(PAGE, lines)
        CHART.write_text(chart.svg(PAGE.read_text()))


def _chosen(options: argparse.Namespace, skipped: dict[str, str]) -> Iterator[Case]:
    """Yield the cases of this run; note why other cases are left out."""
    for case in CASES:
        wanted = not options.cases or case.name in (*options.cases, BARE, HAS)
        if not wanted or (options.quick and case.keys != FEW):
            continue
        if reason := _lacks(case, options):
            skipped[case.title] = reason
        else:
            yield case


def _lacks(case: Case, options: argparse.Namespace) -> str:
    """Return what a case needs that is missing here, or ""."""
    missing = [name for name in case.modules if find_spec(name) is None]
    if missing:
        return f"{missing[0]} is not installed"
    if case.keys == HUGE and not options.large:
        return "only with --large"
    from allowlist.conf import Settings

    known = {each.name for each in fields(Settings)}
    unknown = [name for name in case.settings.get("ALLOWLIST", {}) if name not in known]
    if unknown:
        return f"the setting {unknown[0]} is unknown"
    at = urlsplit(REDIS_URL)
    asks_redis = case.settings.get("ALLOWLIST", {}).get("FRESHNESS") == REDIS_URL
    return databases.silent("Redis", at.hostname or "", at.port or 6379) if asks_redis else ""


def _figures(engine: str, cases: list[Case], rounds: int, options: argparse.Namespace) -> Iterator[Figures]:
    """Yield the figures of an engine, with persistent connections and without."""
    cases = [case for case in cases if engine in case.engines]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="allowlist-benchmark-")))
        filled = {}
        for keys in sorted({case.keys for case in cases}):
            config = databases.config(engine, keys, folder)
            stack.enter_context(databases.made(config))
            filled[keys] = Database(config, fill(config, keys))
        for lasting in (True, False):
            scene = Scene(engine, lasting, filled, cases)
            print(f"{engine}, {'connections last' if lasting else 'CONN_MAX_AGE=0'} ...", file=sys.stderr)
            figures = measure(scene, rounds if lasting else max(2, rounds // 2), 40 if lasting else 10)
            if not options.no_http and (lasting or not options.quick):
                over_http = [case for case in cases if case.over_http and (case.quick or not options.quick)]
                figures.rates = load.load(scene, over_http, max(2, rounds // 10))
            yield figures


def _about(rounds: int, skipped: dict[str, str]) -> Iterator[str]:
    """Yield the lines that say what was measured, on what, and what is missing."""
    yield ""
    yield f"Measured on {datetime.now(UTC):%Y-%m-%d}, in {rounds} rounds, on {os.cpu_count()} processors"
    yield f"({_processor()}) with Python {platform.python_version()} and {', '.join(_versions())}."
    for what, reason in skipped.items():
        yield from ("", f"Left out: {what} ({reason}).")


def _versions() -> Iterator[str]:
    for name in PACKAGES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (names or [platform.machine()])[0]


if __name__ == "__main__":
    main()
