"""Turns figures into the Markdown tables that the documentation shows."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from benchmarks.cases import BARE, CASES, HAS
from benchmarks.measure import Figures, Rounds

BEGIN, END = "<!-- benchmark: begin -->", "<!-- benchmark: end -->"
ENGINES = {"sqlite": "SQLite", "postgres": "PostgreSQL"}


@dataclass(frozen=True)
class Spread:
    """A median and its quartiles."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        """Return the spread of the values of all rounds."""
        if len(values) < 2:
            return cls(values[0], values[0], values[0])
        low, _middle, high = quantiles(values, n=4, method="inclusive")
        return cls(low, median(values), high)

    def text(self, digits: int) -> str:
        """Return the median, and the quartiles in brackets."""
        return f"{self.middle:,.{digits}f} ({self.low:,.{digits}f}–{self.high:,.{digits}f})"


def ratios(over: list[float], under: list[float]) -> Spread:
    """Return the spread of the rounds' ratios: a slow round slowed both."""
    return Spread.of([a / b for a, b in zip(over, under, strict=True)])


def added(rounds: Rounds, name: str) -> list[float]:
    """Return what a case adds to the bare view in each round."""
    return [whole - bare for whole, bare in zip(rounds[name], rounds[BARE], strict=True)]


def tables(all_figures: list[Figures]) -> Iterator[str]:
    """Yield the lines of a table for each scene, in-process and over HTTP."""
    for figures in all_figures:
        lasting = "connections last" if figures.scene.lasting else "CONN_MAX_AGE=0"
        place = f"{ENGINES[figures.scene.engine]}, {lasting}"
        yield from ("", f"### In-process, {place}", "")
        yield from _in_process(figures)
        if figures.rates:
            yield from ("", f"### Over HTTP, {place}", "")
            yield from _over_http(figures.rates)


def _in_process(figures: Figures) -> Iterator[str]:
    micros = figures.micros
    yield "| case | queries | µs a request | times the bare view | added µs | of what `HasAPIKey` adds |"
    yield "|---|--:|--:|--:|--:|--:|"
    for case in CASES:
        if case.name in micros:
            whole, more = Spread.of(micros[case.name]), added(micros, case.name)
            cells = [
                case.title,
                str(figures.queries[case.name]),
                whole.text(0),
                ratios(micros[case.name], micros[BARE]).text(2),
                Spread.of(more).text(0),
                ratios(more, added(micros, HAS)).text(2) if HAS in micros else "",
            ]
            yield _row(cells if case.name != BARE else [*cells[:3], "1", "0", "0"])


def _over_http(rates: Rounds) -> Iterator[str]:
    yield "| case | requests a second | of the bare view's |"
    yield "|---|--:|--:|"
    for case in CASES:
        if case.name in rates:
            share = ratios(rates[case.name], rates[case.bare])
            yield _row([case.title, Spread.of(rates[case.name]).text(0), share.text(2)])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write(page: Path, lines: list[str]) -> None:
    """Replace what is between the page's two markers with the lines."""
    before, _begin, rest = page.read_text().partition(BEGIN)
    _old, _end, after = rest.partition(END)
    page.write_text("\n".join([before + BEGIN, *lines, "", END]) + after)
