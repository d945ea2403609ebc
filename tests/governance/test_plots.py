"""Plots are well-formed drawings without a word in them, and their tables hold what was drawn."""

from __future__ import annotations

from datetime import date
from html.parser import HTMLParser

import pytest

from governance import charts, plots

HOSTILE = '"><script>alert(1)</script>'


def _burn() -> charts.BurnDown:
    first = date(2026, 11, 1)
    return charts.burn_down(10, [(first, 4), (date(2026, 11, 3), 6)], first, date(2026, 11, 3), date(2026, 11, 11))


def test_a_burn_down_says_what_was_open_and_ends_when_it_is_due() -> None:
    plot = plots.burn_down(_burn(), ("Day", "Open"))
    assert plot.rows == (("2026-11-01", "6"), ("2026-11-02", "6"), ("2026-11-03", "0"))
    assert (plot.left, plot.right, plot.top) == ("2026-11-01", "2026-11-11", "10")


def test_times_to_proof_are_told_as_shares_within_steps() -> None:
    steps = ((60.0, "1 min"), (86_400.0, "1 d"))
    plot = plots.within([5.0, 30.0, 3600.0, 200_000.0], 604_800.0, ("Within", "Proven"), steps)
    assert plot.rows == (("1 min", "50 %"), ("1 d", "75 %"))


def test_a_month_without_a_number_is_a_gap() -> None:
    months = [(date(2026, 9, 30), None), (date(2026, 10, 31), 0), (date(2026, 11, 25), 100)]
    plot = plots.trend(months, 95, ("Month", "Share"))
    assert plot.rows == (("2026-09", "-"), ("2026-10", "0 %"), ("2026-11", "100 %"))
    assert 'points="300.0,160.0 600.0,0.0"' in plot.svg


def test_a_load_is_drawn_against_whoever_has_the_most() -> None:
    plot = plots.load([("Sofia", 30, 30), ("Sam", 0, 15)], ("Who", "Answered", "Open"))
    assert plot.rows == (("Sofia", "30", "30"), ("Sam", "0", "15"))
    assert 'x="0.0" y="28" width="150.0"' in plot.svg


@pytest.mark.parametrize(
    "svg",
    [
        plots.burn_down(_burn(), ("a", "b")).svg,
        plots.small_burn(_burn()),
        plots.stack([(HOSTILE, HOSTILE, 3), ("certify", "Kept", 0)], ("a", "b")).svg,
        plots.stack([], ("a", "b")).svg,
        plots.load([(HOSTILE, 0, 0)], ("a", "b", "c")).svg,
        plots.one_load(0, 0, 0),
        plots.within([], 60.0, ("a", "b"), ()).svg,
        plots.trend([], 95, ("a", "b")).svg,
    ],
)
def test_a_drawing_is_well_formed_needs_no_style_and_holds_nothing_that_anybody_wrote(svg: str) -> None:
    open_tags: list[str] = []
    words: list[str] = []

    class Reader(HTMLParser):
        """Follow what is opened and closed, and note every word."""

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert "style" not in dict(attrs)
            open_tags.append(tag)

        def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag in {"rect", "path", "polyline"}
            assert "style" not in dict(attrs)

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

        def handle_data(self, data: str) -> None:
            words.append(data)

    Reader().feed(svg)
    assert (open_tags, words, svg.startswith("<svg")) == ([], [], True)


@pytest.mark.parametrize(("count", "shade"), [(0, 0), (1, 1), (9, 1), (10, 2), (100, 3), (100_000, 3)])
def test_more_calls_are_darker(count: int, shade: int) -> None:
    assert charts.shade(count) == shade
