"""Every promise and every attack has its cell for every way to every kind of system, or a reason why there is none."""

from __future__ import annotations

from entitlements.catalog.models import System
from tests.nodes.promises import test_attacks, test_calls, test_nodes  # noqa: F401 - as above
from tests.promises import table, test_outbound, test_people, test_vendor  # noqa: F401 - each notes its cells
from tests.promises.table import ALIKE, ATTACKS, COVERED, EMPTY, NOT_REACHED, PROMISES, WAYS


def test_every_kind_of_system_has_a_way_or_a_reason_why_nothing_reaches_it() -> None:
    assert WAYS.keys() | NOT_REACHED.keys() == set(System.Kind.values)
    assert not WAYS.keys() & NOT_REACHED.keys()
    through = {way for kind in System.SERVED for way in WAYS[kind]}
    assert through == set(table.GATEWAY), "what the gateway serves is called"


def test_every_cell_has_a_test_or_a_reason() -> None:
    cells = {(row, way) for row in (*PROMISES, *ALIKE, *ATTACKS) for ways in WAYS.values() for way in ways}
    assert cells - COVERED.keys() - EMPTY.keys() == set()
    assert COVERED.keys() - cells == set()
    assert EMPTY.keys() - cells == set()
    assert COVERED.keys() & EMPTY.keys() == set(), "a cell that has a test needs no reason"
