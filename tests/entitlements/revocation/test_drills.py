"""A drill measures all that a stop would do and stops nothing; a person is stopped with their agents, in one step."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.db import connection, transaction

from audit import clock
from audit.context import SYSTEM
from audit.export import timeline
from audit.models import Event
from entitlements import tasks
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.conflicts.independence import SecondPersonNeeded
from entitlements.delegation.models import DelegationPermission
from entitlements.errors import NotFound, ReasonRequired
from entitlements.feed import changes
from entitlements.feed.models import Change
from entitlements.keys import jws
from entitlements.people import people
from entitlements.people.models import Person
from entitlements.revocation import effects, revocation
from entitlements.revocation.models import Drill, Revocation, Stop
from entitlements.revocation.revocation import Target
from entitlements.revocation.verbs import VERBS
from entitlements.sessions.models import Session
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken, TokenGrant
from tests import begun, make

pytestmark = pytest.mark.django_db
OF_A_DRILL = {"entitlements_drill", "entitlements_change", "events", "pending"}


@pytest.fixture(autouse=True)
def _no_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settle within the test's transaction, as if no gateway were running."""
    monkeypatch.setattr(changes, "position", lambda _change: 1)
    monkeypatch.setattr(changes, "wait_for_nodes", lambda _position, _since: ([], []))


@dataclass
class World:
    """Alice sponsors one agent, owns another and backs up a third; the first has access, a session and a sign-in."""

    alice: Person
    sponsored: Agent
    owned: Agent
    backed: Agent
    targets: dict[str, str]


@pytest.fixture
def world() -> World:
    alice, others = make.person("alice"), make.person("sofia")
    sponsored = make.agent("sponsored", sponsor=alice)
    owned, backed = make.agent("owned", sponsor=others), make.agent("backed", sponsor=others)
    Agent.objects.filter(pk=owned.pk).update(owner=alice)
    Agent.objects.filter(pk=backed.pk).update(backup=alice)
    system, (client, _) = make.system("erp"), make.client(sponsored)
    entitlement = make.entitlement(system, tool := make.tool(system, "read"))
    grant = make.grant(sponsored, entitlement, people=[alice])
    with transaction.atomic():
        session, _ = begun.begin(client, alice, uuid.uuid4().hex * 2, auth_time=None, now=clock.now())
    family, now = make.token_family(session, system), clock.now()
    token = IssuedToken.objects.create(
        kind="access_token", system=system, client=client, agent=sponsored, person=alice, session=session,
        issued_at=now, expires_at=now + timedelta(minutes=5), family=family.pk,
    )  # fmt: skip
    TokenGrant.objects.create(token=token, grant=grant)
    DelegationPermission.objects.create(agent=sponsored, actor=backed, permitted_at=now, reason="x")
    targets = {
        "grant": str(grant.pk), "session": str(session.pk), "token": str(token.pk), "token_family": str(family.pk),
        "sign_ins": "alice", "tool": f"erp/{tool.name}", "system": "erp", "client": client.client_id,
        "agent": "sponsored", "person": "alice", "person_agents": "alice", "everything": "everything",
    }  # fmt: skip
    return World(alice, sponsored, owned, backed, targets)


def contents() -> dict[str, str]:
    """Return a digest of each table but those that a drill writes."""
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor)) - OF_A_DRILL
        found = {}
        for table in tables:
            cursor.execute(f"SELECT coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)), '') FROM {table} t")  # noqa: S608
            found[table] = cursor.fetchone()[0]
    return found


def said(stop: Stop) -> dict[str, object]:
    return dict(jws.read(stop.receipt).claims)


@pytest.mark.parametrize("kind", sorted(VERBS))
def test_a_drill_of_any_target_measures_what_its_stop_would_end_and_changes_nothing(world: World, kind: str) -> None:
    target, by = Target(kind, world.targets[kind]), make.analyst()
    revocation.drill(target, by=SYSTEM, reason="makes keys")  # that of receipts
    before, events = contents(), set(Event.objects.values_list("uuid", flat=True))

    drill = revocation.drill(target, by=by.principal, reason="Quarterly drill.", ticket="")

    assert contents() == before
    assert not Revocation.objects.exists()
    added = Event.objects.exclude(uuid__in=events).order_by("at")
    assert [event.action for event in added] == ["drill.committed", "drill.settled"]
    assert {event.links[0] for event in added} <= {drill.link, str(by.principal), *drill_links(drill, target)}
    noted = Change.objects.order_by("-pk")[0]
    assert (noted.kind, noted.concerns_all, noted.pk) == ("drill", True, drill.change_id)
    stop = revocation.revoke(target, by=by.principal, reason="Real.", ticket="")
    assert (drill.covered, drill.residual, drill.effect) == (stop.covered, stop.residual, stop.effect)
    assert stop.effect["sessions"] == (kind != "token_family"), stop.effect
    assert {**said(drill), "drill": True}.items() >= {"by": str(by.principal), "reason": "Quarterly drill."}.items()
    assert (said(drill)["drill"], said(stop)["drill"]) == (True, False)
    assert said(stop)["effect"] == stop.effect


def drill_links(drill: Drill, target: Target) -> list[str]:
    return [drill.link, *target.links]


def test_a_drill_is_refused_as_its_stop_is_and_then_leaves_nothing(world: World) -> None:
    agents.retire(world.sponsored, by=SYSTEM, reason="over")
    for target, refusal in (
        (Target("agent", "sponsored"), agents.WrongState),
        (Target("agent", "nobody"), NotFound),
        (Target("planet", "x"), revocation.UnknownTarget),
    ):
        with pytest.raises(refusal):
            revocation.drill(target, by=SYSTEM, reason="x")
    with pytest.raises(ReasonRequired):
        revocation.drill(Target("agent", "owned"), by=SYSTEM, reason=" ")
    assert not Drill.objects.exists()
    assert not Change.objects.filter(kind="drill").exists()


def test_what_was_drilled_and_not_waited_for_gets_its_receipt_from_the_sweep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    drill = revocation.drill(Target("agent", world.owned.slug), by=SYSTEM, reason="x", wait=False)
    monkeypatch.setattr(tasks, "UNSETTLED", timedelta())
    tasks.settle_revocations()
    assert Drill.objects.get(pk=drill.pk).receipt


@pytest.mark.usefixtures("world")
def test_a_person_is_stopped_with_the_agents_that_they_sponsor_and_own_in_one_step() -> None:
    ana, resa = make.analyst(), make.security()

    stop = revocation.revoke(Target("person_agents", "alice"), by=ana.principal, reason="Laptop stolen.", ticket="")

    states = dict(Agent.objects.values_list("slug", "status"))
    assert states == {"sponsored": "suspended", "owned": "suspended", "backed": "active"}
    assert not Person.objects.get(login="alice").is_active
    assert not Session.objects.filter(ended_at=None).exists()
    assert not TokenFamily.objects.filter(ended_at=None).exists()
    assert stop.covered == {"access_tokens": 1, "id_jags": 0, "sessions": 1, "agents": 2}
    assert {event.links[0] for event in timeline.about(stop.link) if event.action == "revocation.committed"}
    for slug in ("sponsored", "owned"):
        events = timeline.about(f"agent:{slug}").filter(action="agent.suspended")
        assert [(event.actor, event.reason) for event in events] == [(str(ana.principal), "Laptop stolen.")]
    alice = Person.objects.get(login="alice")
    with pytest.raises(SecondPersonNeeded):
        people.enable(alice, by=ana.principal, reason="Found.")
    people.enable(alice, by=resa.principal, reason="Found.")
    for slug in ("sponsored", "owned"):
        agents.restore(Agent.objects.get(slug=slug), by=resa.principal, reason="Found.")


def test_a_stop_of_a_person_and_their_agents_that_fails_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(people, "disable", fails)
    with pytest.raises(RuntimeError):
        revocation.revoke(Target("person_agents", "alice"), by=SYSTEM, reason="x", ticket="")
    assert set(Agent.objects.values_list("status", flat=True)) == {"active"}
    assert not Event.objects.filter(action="agent.suspended", links__contains=[f"agent:{world.owned.slug}"]).exists()


def test_the_effect_before_counts_what_ends_and_what_leans_on_it(world: World) -> None:
    found = {kind: effects.count_effects(kind, Target(kind, key).find(), key) for kind, key in world.targets.items()}

    assert {kind: each["families"] for kind, each in found.items()} == {
        **dict.fromkeys(("agent", "client", "person", "person_agents", "session", "sign_ins", "system"), 1),
        **dict.fromkeys(("everything", "token_family"), 1),
        **dict.fromkeys(("grant", "tool", "token"), 0),
    }
    dependents = {kind for kind, each in found.items() if each["dependents"]}
    assert dependents == {"agent", "grant", "person", "person_agents", "session", "token"}
    assert found["agent"] == {
        "agents": 1, "grants": 1, "sessions": 1, "tokens": 1, "people": 1, "families": 1, "dependents": 1,
        "vendors": 0, "calls_per_hour": 0,
    }  # fmt: skip
