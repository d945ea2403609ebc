"""A fleet is made by statements of its own; what it leaves behind is what the verbs would have left."""

from __future__ import annotations

import json

import pytest

from audit import chain
from audit.context import SYSTEM
from audit.models import Event, Pending
from entitlements import agents, catalog, grants
from entitlements.models import Agent, Entitlement, Grant, GrantSubject, Person, Tool
from governance import invariants
from tests import make

pytestmark = pytest.mark.django_db(transaction=True)
AGENTS = 60
LATE = "12"
"""Nobody seals here, and the fleet's events are long ago."""


@pytest.fixture
def fleet() -> int:
    from scripts.demo import fleet  # noqa: PLC0415 - the product can be imported only now

    make.analyst("ana")
    make.person("sam")
    catalog.ensure_builtin()
    return fleet.fill(AGENTS)


def _said(action: str, link: str) -> dict[str, object]:
    """Return what the newest event of an action says about one thing, without what differs every time."""
    event = Event.objects.filter(action=action, links__contains=[link]).latest("at")
    return event.said


def test_a_fleet_keeps_the_invariants_and_leaves_what_the_verbs_leave(fleet: int) -> None:
    assert Agent.objects.count() == AGENTS
    assert Grant.objects.count() == 10 * AGENTS
    assert Tool.objects.filter(state=Tool.State.QUARANTINED).exists()
    assert Pending.objects.count() == Event.objects.count() > fleet > 15 * AGENTS
    broken = [each for each in invariants.check() if each.count and each.invariant.id != LATE]
    assert broken == []

    for event in Event.objects.all():
        assert chain.canonical(json.loads(event.body)).decode() == event.body
        said = event.said
        assert (said["uuid"], said["action"], said["sequence"]) == (str(event.uuid), event.action, event.sequence)
        assert set(said["links"]) <= set(event.links)

    held = Grant.objects.filter(agent__kind="shared", state="active", subjects__person__isnull=False).first()
    assert held is not None
    person = GrantSubject.objects.get(grant=held).person
    assert person is not None
    assert held.subjects_digest == grants.subjects_digest([person], [])
    _same_form(held, person)


def _same_form(held: Grant, person: Person) -> None:
    """Give another agent the same by the verbs, and compare what the record says of both."""
    sponsor, owner = Person.objects.order_by("-pk")[:2]
    agent = agents.register("by-hand", name="x", kind="shared", sponsor=sponsor, owner=owner, purpose="x", by=SYSTEM)
    given = make.grant(agent, Entitlement.objects.get(pk=held.entitlement_id), people=[person])
    for action, ours, theirs in (
        ("grant.issued", f"grant:{held.pk}", f"grant:{given.pk}"),
        ("agent.registered", f"agent:{held.agent.slug}", "agent:by-hand"),
    ):
        one, other = _said(action, ours), _said(action, theirs)
        assert one.keys() == other.keys()
        for said in (one, other):
            assert isinstance(said["detail"], dict)
            assert isinstance(said["links"], list)
        assert one["detail"].keys() == other["detail"].keys()  # type: ignore[attr-defined]
        assert [link.partition(":")[0] for link in one["links"]] == [  # type: ignore[attr-defined]
            link.partition(":")[0]
            for link in other["links"]  # type: ignore[attr-defined]
        ]
    assert _said("grant.issued", f"grant:{held.pk}")["detail"]["lines"] == {  # type: ignore[index]
        line.tool.name: {} for line in held.lines.select_related("tool")
    }
