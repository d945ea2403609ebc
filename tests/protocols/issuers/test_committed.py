"""A lane with connections of its own sees only what is committed: the record holds there too, in a world per state."""

from __future__ import annotations

import logging

import pytest

from tests import databases
from tests.protocols.issuers import corpus, recording, run
from tests.protocols.issuers.lanes import EdgeLane
from tests.protocols.issuers.test_recorded import is_decided

pytestmark = [pytest.mark.loopback, pytest.mark.soak, pytest.mark.django_db(transaction=True)]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("family", corpus.FAMILIES)
def test_answers_are_as_recorded_where_all_is_committed(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)
    answers = run.committed(corpus.quick(family), EdgeLane(), databases.empty)
    assert recording.report(family, answers, is_decided=is_decided) == ""
