"""The benchmark runs, and the documentation shows only what it wrote."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import chart, report
from benchmarks.__main__ import CHART, PAGE
from benchmarks.cases import BARE, CASES, HAS

ROOT = Path(__file__).parent.parent
TITLES = {case.title for case in CASES}


def test_every_figure_in_the_documentation_is_from_a_case() -> None:
    _before, _begin, rest = PAGE.read_text().partition(report.BEGIN)
    shown, end, _after = rest.partition(report.END)
    first_cells = re.findall(r"^\| (.+?) \|", shown, re.MULTILINE)
    assert end
    assert set(first_cells) - TITLES - {"case"} == set()


def test_the_chart_and_the_summary_show_the_figures_of_the_page() -> None:
    page = PAGE.read_text()
    assert CHART.read_text() == chart.svg(page)
    assert set(chart.LABELS) <= set(chart.added(page))
    summary = (PAGE.parent / "performance.md").read_text()
    rows = re.findall(r"^\| (.+?) \| (\d+) \| ([\d,]+) \| ([\d.]+) \|$", summary, re.MULTILINE)
    scene = page.partition(chart.SCENE)[2].partition("\n### ")[0]
    assert rows
    for title, queries, added, share in rows:
        assert re.search(
            rf"^\| {re.escape(title)} \| {queries} \|.*\| {added} .*\| {share} \(", scene, re.MULTILINE
        )


def test_a_report_replaces_what_stands_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"Before\n{report.BEGIN}\nold\n{report.END}\nAfter\n")
    report.write(page, ["", "new"])
    assert page.read_text() == f"Before\n{report.BEGIN}\n\nnew\n\n{report.END}\nAfter\n"


def test_ratios_are_taken_within_a_round() -> None:
    rounds = {BARE: [100.0, 200.0, 100.0], HAS: [300.0, 600.0, 300.0], "ours": [150.0, 300.0, 150.0]}
    added = report.ratios(report.added(rounds, "ours"), report.added(rounds, HAS))
    assert added == report.Spread(0.25, 0.25, 0.25)
    assert report.Spread.of([1.0, 2.0, 3.0, 4.0, 100.0]).text(0) == "3 (2–4)"


@pytest.mark.slow
def test_the_benchmark_measures_a_case_of_ours() -> None:
    command = [sys.executable, "-m", "benchmarks", "--databases", "sqlite", "--rounds", "2", "--no-http"]
    done = subprocess.run(
        [*command, "--cases", "ours,refused"], check=False, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    title = next(case.title for case in CASES if case.name == "ours")
    measured = re.findall(rf"^\| {title} \| (\d+) \| [0-9,]+ \(", done.stdout, re.MULTILINE)
    assert measured == ["1", "1"]  # One statement, with connections that last and without.
