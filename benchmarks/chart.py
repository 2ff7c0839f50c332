"""Draws what each check adds as an SVG, from the tables that the benchmark wrote."""

import re
from collections.abc import Iterator

from benchmarks.cases import CASES

SCENE = "### In-process, PostgreSQL, connections last"
LABELS = {
    "redis": "allowlist with Redis",
    "statement": "any single query",
    "ours": "allowlist",
    "refused": "allowlist, refused",
    "has-api-key": "HasAPIKey",
    "stack": "HasAPIKey + CORS + IP",
    "token": "DRF TokenAuthentication",
    "simple-apikey": "drf-simple-apikey",
    "tenant-apikeys": "django-tenant-apikeys",
    "knox": "django-rest-knox",
}
"""The bars, by case."""

WIDTH, LEFT, ROW = 720, 220, 34
_STYLE = """
    :root { --back: #ffffff; --text: #1f2328; --ours: #1f6feb; --other: #8c959f; }
    @media (prefers-color-scheme: dark) {
      :root { --back: #1c2128; --text: #e6edf3; --ours: #58a6ff; --other: #768390; }
    }
    .back { fill: var(--back); }
    text { font: 14px system-ui, sans-serif; fill: var(--text); }
    .ours { fill: var(--ours); }
    .other { fill: var(--other); }
"""


def added(page: str) -> dict[str, int]:
    """Return the microseconds that each case adds, as the page's table for PostgreSQL has them."""
    _before, _heading, rest = page.partition(SCENE)
    names = {case.title: case.name for case in CASES}
    rows = re.findall(r"^\| (.+?) \|(?:[^|]*\|){3} (-?[\d,]+) ", rest.partition("\n### ")[0], re.MULTILINE)
    return {names[title]: int(micros.replace(",", "")) for title, micros in rows if title in names}


def svg(page: str) -> str:
    """Return the chart of the page's figures."""
    return "\n".join(_lines({LABELS[name]: micros for name, micros in added(page).items() if name in LABELS}))


def _lines(bars: dict[str, int]) -> Iterator[str]:
    height, scale = ROW * len(bars) + 24, (WIDTH - LEFT - 90) / max(bars.values())
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    yield f"  <style>{_STYLE}  </style>"
    yield f'  <rect class="back" width="{WIDTH}" height="{height}" rx="8"/>'
    for number, (label, micros) in enumerate(sorted(bars.items(), key=lambda bar: bar[1])):
        top, length = 12 + ROW * number, micros * scale
        kind = "ours" if label.startswith("allowlist") else "other"
        yield f'  <text x="{LEFT - 12}" y="{top + 21}" text-anchor="end">{label}</text>'
        yield f'  <rect class="{kind}" x="{LEFT}" y="{top + 5}" width="{length:.0f}" height="24" rx="3"/>'
        yield f'  <text x="{LEFT + length + 8:.0f}" y="{top + 21}">{micros} µs</text>'
    yield "</svg>\n"
