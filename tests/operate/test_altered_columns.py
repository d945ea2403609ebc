"""The invariants name an event whose columns say another thing than its body."""

from __future__ import annotations

import pytest

from governance.operations import invariants
from tests.audit import make as record


@pytest.mark.django_db(transaction=True)
def test_a_column_that_its_body_does_not_give_is_named() -> None:
    record.events(6)
    changes = {
        1: "action = 'grant.restored'",
        2: "links = array_remove(links, links[1])",
        3: "links = array_append(links, 'grant:other')",
        4: "trace = 'another'",
        5: "sequence = 9999",
    }
    assert invariants.check(only={"15"})[0].count == 0
    for sequence, change in changes.items():
        record.tamper(f"UPDATE events SET {change} WHERE sequence = {sequence}")  # noqa: S608 - ours

    found = invariants.check(only={"15"})[0]
    named = sorted(violation.split(" has ")[1].split(" that ")[0] for violation in found.violations)
    assert named == ["a number", "a trace", "an action", "links", "links"]
    assert found.count == len(changes)
