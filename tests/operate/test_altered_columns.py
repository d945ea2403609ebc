"""The invariants name what was changed in the sealed log: a column, a body, a leaf, a checkpoint."""

from __future__ import annotations

import pytest

from governance.operations import invariants
from tests import make
from tests.audit import make as record
from tests.operate.test_invariants import archive, company

__all__ = ["archive", "company"]


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


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE events SET body = replace(body, 'alice', 'mallory')", "is not the hash of its event"),
        ("DELETE FROM leaves WHERE index = 2", "the leaves are"),
        ("DELETE FROM checkpoints WHERE size = (SELECT max(size) FROM checkpoints)", ""),
    ],
)
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("company")
def test_what_was_done_to_the_sealed_record_is_named(archive: record.Archive, statement: str, named: str) -> None:
    archive.seal()
    make.person("later")
    archive.seal()
    record.tamper(statement)

    found = next(each for each in invariants.check() if each.invariant.id == "5")
    assert found.count
    assert any(named in violation for violation in found.violations), found.violations
