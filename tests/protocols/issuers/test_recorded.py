"""The edge answers each case as recorded. `python -m tests.protocols.issuers.record` writes what changed."""

from __future__ import annotations

import logging

import pytest

from tests import shared
from tests.protocols.issuers import corpus, recording, run, worlds
from tests.protocols.issuers.lanes import EdgeLane
from tests.protocols.issuers.worlds import World

pytestmark = pytest.mark.loopback
made_world, world = shared.world(worlds.build)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log no refusals: there are thousands."""
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)


DECIDED = (
    "browser.",  # what Django's middleware adds for browsers: the edge serves no pages
    "headers.access-control-",  # any origin may ask, without credentials
    "body.access_token.claims.txn: null -> ",  # an ID-JAG says which trace its redemption goes on with
)
"""What the edge answers otherwise than the release before (docs/decisions/0061-the-edge.md, 0067-fewer-trips.md)."""


CASES = (
    *(", OPTIONS", ", asked by a browser", "preflight"),  # preflights are answered
    ", another host",  # the edge looks at no Host
    ", 3 MiB",  # a body of any size is refused as a form that is too large
    *("code, without openid", "code, plain PKCE"),  # no page makes such a code: it is refused
    ", a limit of one",  # a limited request does not use its assertion up
)
"""Cases that are answered otherwise, by the end of their names."""


def is_decided(case: str, line: str) -> bool:
    """Tell whether a difference was decided. An assertion for what mints and ends nothing is used up in memory."""
    if case.endswith(CASES) or line.startswith(DECIDED):
        return True
    return ("introspect" in case or "revoke" in case) and line.startswith('left.claimed: ["client:')


@pytest.mark.parametrize("family", corpus.FAMILIES)
def test_each_kind_of_answer_is_as_recorded(world: World, family: str) -> None:
    assert (
        recording.report(family, run.rolled_back(corpus.quick(family), EdgeLane(), world), is_decided=is_decided) == ""
    )


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("family", corpus.FAMILIES)
def test_each_answer_is_as_recorded(world: World, family: str) -> None:
    assert (
        recording.report(family, run.rolled_back(corpus.FAMILIES[family](), EdgeLane(), world), is_decided=is_decided)
        == ""
    )


def test_another_answer_is_shown_where_it_differs(world: World) -> None:
    """See that the comparison can fail: a lane that says nothing of caching, and forgets to record."""
    case = next(case for case in corpus.FAMILIES["clients"]() if case.name == "client: exchange, basic, wrong")
    ((name, answered),) = run.rolled_back([case], EdgeLane(), world)
    answered["headers"].pop("cache-control")
    answered["left"] = {}
    report = recording.report("clients", [(name, answered)])
    assert 'headers.cache-control: "no-store" -> null' in report
    assert 'left.strangers: {"client_not_authenticated from 127.0.0.1": 1} -> null' in report
