"""Plots are well-formed drawings without a word in them, and their tables hold what was drawn."""

from __future__ import annotations

import itertools
from datetime import date
from html.parser import HTMLParser

import pytest

from governance.charts import geometry, plots

HOSTILE = '"><script>alert(1)</script>'


def _burn() -> geometry.BurnDown:
    first = date(2026, 11, 1)
    return geometry.burn_down(10, [(first, 4), (date(2026, 11, 3), 6)], first, date(2026, 11, 3), date(2026, 11, 11))


def test_a_burn_down_says_what_was_open_and_ends_when_it_is_due() -> None:
    plot = plots.burn_down(_burn(), ("Day", "Open"))
    assert plot.rows == (("2026-11-01", "6"), ("2026-11-02", "6"), ("2026-11-03", "0"))
    assert (plot.left, plot.right, plot.top) == ("2026-11-01", "2026-11-11", "10")


def test_days_of_reminders_are_ticks_and_rows_of_the_table() -> None:
    first, due = date(2026, 11, 1), date(2026, 11, 11)
    told = [date(2026, 10, 30), date(2026, 11, 2), date(2026, 11, 8), date(2026, 11, 12)]
    burn = geometry.burn_down(4, [(first, 1)], first, date(2026, 11, 3), due, told)
    assert (burn.reminders, burn.ticks) == (tuple(told[1:3]), (60.0, 420.0)), "those outside are not in it"
    plot = plots.burn_down(burn, ("Day", "Open", "Reviewers"), "reminded")
    assert [row for row in plot.rows if row[2]] == [("2026-11-02", "3", "reminded"), ("2026-11-08", "", "reminded")]
    assert plot.svg.count('class="tick"') == 2


def test_times_to_proof_are_told_as_shares_within_steps() -> None:
    steps = ((60.0, "1 min"), (86_400.0, "1 d"))
    plot = plots.within([5.0, 30.0, 3600.0, 200_000.0], 604_800.0, ("Within", "Proven"), steps)
    assert plot.rows == (("1 min", "50 %"), ("1 d", "75 %"))


def test_a_month_without_a_number_is_a_gap() -> None:
    months = [(date(2026, 9, 30), None), (date(2026, 10, 31), 0), (date(2026, 11, 25), 100)]
    plot = plots.trend(months, 95, ("Month", "Share"))
    assert plot.rows == (("2026-09", "-"), ("2026-10", "0 %"), ("2026-11", "100 %"))
    assert 'points="300.0,160.0 600.0,0.0"' in plot.svg


def test_a_chart_has_ticks_places_to_read_and_a_label_of_its_newest_value() -> None:
    months = [(date(2026, month, 28), 10 * month if month > 1 else None) for month in range(1, 7)]
    plot = plots.trend(months, 95, ("Month", "Share"))
    assert (plot.axis[0], plot.axis[-1], plot.latest) == ("100 %", "0", "2026-06: 60 %")
    assert (plot.xs, plot.points, plot.is_too_small) == ((0, 200, 400, 600, 800, 1000), 5, False)
    assert plots.trend(months[:5], 95, ("Month", "Share")).is_too_small, "four values"
    burn = plots.burn_down(_burn(), ("Day", "Open"))
    assert (burn.axis, burn.xs, burn.latest) == (("10", "0"), (0, 100, 200), "2026-11-03: 0")
    columns = plots.columns(["a", "b"], [("n", [4, 8])], "x")
    assert (columns.axis, columns.xs, columns.is_too_small) == (("8", "6", "4", "2", "0"), (250, 750), False)
    several = plots.lines([day for day, _share in months], [("A", [1, None, 3, None, None, None])], 95, "Month")
    assert [word for _look, word in several.keys] == ["A: 3 %"]


def test_a_bars_parts_are_told_apart_without_their_colours() -> None:
    names = ["certify", "reduce", "revoke", "superseded", "carried_forward", "excluded", "no_response", "in_review"]
    looks = [plots.hatch(name, 0, 12, 12, 4) for name in names]
    assert all(one != other for one, other in itertools.pairwise(looks))
    assert plots.hatch("reduce", 10, 9, 16, 4) == "M14.00 0V16M18.00 0V16"


@pytest.mark.parametrize(
    "svg",
    [
        plots.burn_down(_burn(), ("a", "b")).svg,
        plots.small_burn(_burn()),
        plots.columns(["a"], [(HOSTILE, [3]), (HOSTILE, [2])], HOSTILE, limit=1).svg,
        plots.columns([], [(HOSTILE, [])], HOSTILE).svg,
        plots.lines([date(2026, 11, 1)], [(HOSTILE, [None]), (HOSTILE, [3])], 95, HOSTILE).svg,
        plots.dumbbell(100, 0),
        plots.ends(100, 0),
        plots.ends(0, 0, 0),
        plots.bar(3, 9),
        plots.bar(0, 0),
        plots.pair(0, 0, 0),
        plots.edges([(0, 0, plots.Edge(3, is_dashed=True, is_double=True))], (1, 1), 1),
        plots.calendar([(date(2026, 11, 1), 3)], date(2026, 10, 26), date(2026, 11, 1), ("a", "b")).svg,
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
            assert tag in {"rect", "path", "polyline", "circle"}
            assert "style" not in dict(attrs)

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

        def handle_data(self, data: str) -> None:
            words.append(data)

    Reader().feed(svg)
    assert (open_tags, words, svg.startswith("<svg")) == ([], [], True)


@pytest.mark.parametrize(("count", "shade"), [(0, 0), (1, 1), (9, 1), (10, 2), (100, 3), (100_000, 3)])
def test_more_calls_are_darker(count: int, shade: int) -> None:
    assert geometry.shade(count) == shade
