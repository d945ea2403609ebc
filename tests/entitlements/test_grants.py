"""Grants: how they begin and end, and what the database refuses."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import IntegrityError, transaction

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM, Principal
from audit.export import timeline
from audit.models import Event
from entitlements import errors
from entitlements.catalog.models import Tool
from entitlements.conflicts.independence import SecondPersonNeeded
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.feed.models import Change
from entitlements.grants import batches, grants
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from tests import databases, make

pytestmark = pytest.mark.django_db

ANA = Principal("person", "ana")


def test_issuing_keeps_the_lines_and_says_who_and_why() -> None:
    alice = make.person("alice")
    grant = make.grant(people=[alice])

    event = timeline.of("grant", grant.pk).last()

    assert event is not None
    assert (event.action, event.actor, event.reason) == (Action.GRANT_ISSUED, "system:mandate", "made for a test")
    assert {"person:alice", f"agent:{grant.agent.slug}"} <= set(event.links)
    assert grant.lines.count() == 1


def test_revoking_ends_the_grant_and_says_who_and_why() -> None:
    grant = make.grant()

    grants.revoke(grant.pk, by=ANA, reason="laptop stolen")

    grant.refresh_from_db()
    event = timeline.of("grant", grant.pk).last()
    assert event is not None
    assert (event.action, event.actor, event.reason) == (Action.GRANT_REVOKED, "person:ana", "laptop stolen")
    assert (grant.state, grant.end_reason) == (Grant.State.REVOKED, "laptop stolen")
    assert Change.objects.filter(subject=f"grant:{grant.pk}", agent=grant.agent).count() == 2  # issued, revoked


def test_a_grant_ends_once() -> None:
    grant = make.grant()
    grants.revoke(grant.pk, by=ANA, reason="first")

    with pytest.raises(grants.AlreadyEnded):
        grants.revoke(grant.pk, by=ANA, reason="second")
    with pytest.raises(grants.AlreadyEnded):
        grants.suspend(grant.pk, by=ANA, reason="third")


def test_an_unknown_grant_is_not_found() -> None:
    with pytest.raises(errors.NotFound):
        grants.revoke(uuid4(), by=ANA, reason="no such thing")


def test_suspending_twice_records_one_event_and_restoring_brings_it_back() -> None:
    grant = make.grant()

    grants.suspend(grant.pk, by=ANA, reason="looks odd")
    grants.suspend(grant.pk, by=ANA, reason="looks odd")
    grants.restore(grant.pk, by=Principal("person", "ben"), reason="it was fine")

    actions = [event.action for event in timeline.of("grant", grant.pk)]
    assert actions == [Action.GRANT_ISSUED, Action.GRANT_SUSPENDED, Action.GRANT_RESTORED]


def test_the_stop_of_a_second_person_is_one_of_its_own_and_none_of_them_restores() -> None:
    grant, cem = make.grant(), Principal("person", "cem")
    grants.suspend(grant.pk, by=ANA, reason="looks odd")

    assert grants.suspend(grant.pk, by=cem, reason="stolen").version == 3

    assert timeline.of("grant", grant.pk).filter(action=Action.GRANT_SUSPENDED).count() == 2
    for who in (ANA, cem):
        with pytest.raises(SecondPersonNeeded):
            grants.restore(grant.pk, by=who, reason="fine")
    grants.restore(grant.pk, by=Principal("person", "ben"), reason="fine")


def test_nobody_restores_what_another_account_of_theirs_stopped_first() -> None:
    one, other = make.person("dora"), make.person("dora-admin")
    Person.objects.filter(pk=other.pk).update(email="Dora@example.org")
    grant = make.grant()
    grants.suspend(grant.pk, by=one.principal, reason="looks odd")
    grants.suspend(grant.pk, by=ANA, reason="stolen")
    with pytest.raises(SecondPersonNeeded):
        grants.restore(grant.pk, by=other.principal, reason="fine")


def test_an_active_grant_cannot_be_restored() -> None:
    with pytest.raises(grants.NotSuspended):
        grants.restore(make.grant().pk, by=ANA, reason="for no reason")


def test_the_same_agent_entitlement_and_people_have_one_open_grant() -> None:
    alice, bob = make.person(), make.person()
    first = make.grant(people=[alice, bob])

    with pytest.raises(grants.AlreadyHeld):
        make.grant(first.agent, first.entitlement, people=[bob, alice])
    grants.revoke(first.pk, by=ANA, reason="over")

    assert make.grant(first.agent, first.entitlement, people=[alice, bob]).state == Grant.State.ACTIVE


@pytest.mark.parametrize("suspended", [False, True])
def test_a_grant_whose_time_is_over_gives_way_to_a_new_one_before_any_sweep(*, suspended: bool) -> None:
    alice, past = make.person(), clock.now() - timedelta(hours=3)
    over = make.grant(people=[alice], starts_at=past, lasts=timedelta(hours=1))
    other = make.grant(over.agent, over.entitlement, starts_at=past, lasts=timedelta(hours=1))
    if suspended:
        grants.suspend(over.pk, by=ANA, reason="odd")

    new = make.grant(over.agent, over.entitlement, people=[alice])

    over.refresh_from_db()
    assert (over.state, over.end_reason, new.state) == ("expired", "its time has passed", "active")
    events = Event.objects.filter(links__contains=[f"grant:{over.pk}"], action="grant.expired")
    assert [event.actor for event in events] == ["system:mandate"]
    assert Change.objects.filter(grant_id=over.pk, agent_id=over.agent_id).count() == (3 if suspended else 2)
    assert batches.expire_due() == 1  # the other people's is the sweep's, and nothing ends twice
    assert Grant.objects.get(pk=other.pk).state == "expired"
    assert events.count() == 1


def test_a_grant_stays_within_its_entitlement() -> None:
    system = make.system()
    inside, outside = make.tool(system), make.tool(system)
    entitlement = make.entitlement(system, inside, limits={inside.name: {"amount": {"max": 100}}})
    now = clock.now()

    wrong: list[dict[Tool, dict[str, Any]]] = [{}, {outside: {}}, {inside: {}}, {inside: {"amount": {"max": 101}}}]
    for lines in wrong:
        with pytest.raises(grants.OutsideEntitlement):
            grants.issue(
                make.agent(), entitlement, grants.Terms(lines, now, now + timedelta(hours=1)), by=SYSTEM, reason="test"
            )


def test_a_grant_lasts_no_longer_than_its_entitlement_allows() -> None:
    with pytest.raises(grants.TooLong):
        make.grant(lasts=timedelta(days=91))


@pytest.mark.django_db(transaction=True)
def test_a_grant_that_somebody_works_on_is_left_to_the_next_sweep() -> None:
    past = clock.now() - timedelta(hours=3)
    used, free = (make.grant(starts_at=past, lasts=timedelta(hours=1)) for _ in range(2))
    with psycopg.connect(databases.addresses().app) as issuer:
        issuer.execute("SELECT pg_advisory_xact_lock_shared(%s)", [locks.number(Lock.GRANT, used.pk)])

        assert batches.expire_due() == 1

        assert set(Grant.objects.filter(ended_at=None).values_list("pk", flat=True)) == {used.pk}
        assert Change.objects.filter(grant_id=free.pk, agent_id=free.agent_id).count() == 2  # issued, expired
    assert batches.expire_due() == 1


def test_expiring_ends_what_is_due_and_nothing_else() -> None:
    past = clock.now() - timedelta(hours=3)
    due = [make.grant(starts_at=past, lasts=timedelta(hours=1)) for _ in range(3)]
    living = make.grant()

    assert batches.expire_due(limit=2) == 2
    assert batches.expire_due(limit=2) == 1
    assert batches.expire_due() == 0

    states = set(Grant.objects.filter(pk__in=[grant.pk for grant in due]).values_list("state", flat=True))
    assert states == {Grant.State.EXPIRED}
    living.refresh_from_db()
    assert living.state == Grant.State.ACTIVE
    assert [timeline.of("grant", grant.pk).last().action for grant in due] == [Action.GRANT_EXPIRED] * 3  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "values",
    [
        {"ended_at": None, "state": "revoked"},
        {"ended_at": "2026-01-01T00:00:00Z", "end_reason": "", "state": "revoked"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2099-01-01T00:00:00Z"},
    ],
)
def test_the_database_refuses_a_grant_that_must_not_be(values: dict[str, object]) -> None:
    grant = make.grant()

    with pytest.raises(IntegrityError), transaction.atomic():
        Grant.objects.filter(pk=grant.pk).update(**values)


def test_the_database_refuses_to_bring_an_ended_grant_back() -> None:
    grant = make.grant()
    grants.revoke(grant.pk, by=ANA, reason="over")

    with pytest.raises(IntegrityError, match="stays ended"), transaction.atomic():
        Grant.objects.filter(pk=grant.pk).update(ended_at=None, state="active")


def _two_tools() -> tuple[Grant, str, str]:
    system = make.system()
    kept, dropped = make.tool(system), make.tool(system)
    return make.grant(of=make.entitlement(system, kept, dropped)), kept.name, dropped.name


def test_a_grant_is_reduced_in_place_and_put_back_while_nothing_else_happened() -> None:
    grant, kept, dropped = _two_tools()
    sooner = grant.expires_at - timedelta(minutes=1)
    before = grants.reduce(grant.pk, {kept: {"day": {"equals": "monday"}}}, expires_at=sooner, by=ANA, reason="unused")
    grant.refresh_from_db()
    assert [(line.tool.name, line.limits) for line in grant.lines.all()] == [(kept, {"day": {"equals": "monday"}})]
    assert (grant.version, grant.expires_at, grant.state) == (2, sooner, "active")
    event = timeline.of("grant", grant.pk).last()
    assert event is not None
    assert (event.action, event.actor, event.detail["dropped"]) == (Action.GRANT_REDUCED, "person:ana", [dropped])
    assert Change.objects.filter(subject=f"grant:{grant.pk}").count() == 2

    grants.undo_reduction(grant.pk, before, by=ANA, reason="too much")

    grant.refresh_from_db()
    assert {line.tool.name: line.limits for line in grant.lines.all()} == {kept: {}, dropped: {}}
    assert (grant.version, grant.expires_at) == (3, sooner)  # no end ever moves outwards
    with pytest.raises(grants.ChangedSince):
        grants.undo_reduction(grant.pk, before, by=ANA, reason="again")


def test_a_reduction_only_takes_away() -> None:
    grant, kept, dropped = _two_tools()
    later = grant.expires_at + timedelta(minutes=1)
    grants.reduce(grant.pk, {kept: {"day": {"one_of": ["a", "b"]}}, dropped: {}}, by=ANA, reason="tight")
    wrong: list[dict[str, Any]] = [
        {"keep": {}},
        {"keep": {"other": {}}},
        {"keep": {kept: {"day": {"one_of": ["a", "b"]}}, dropped: {}}},
        {"keep": {kept: {}}},
        {"keep": {kept: {"day": {"one_of": ["a", "b"]}}}, "expires_at": later},
        {"keep": {kept: {"day": {"one_of": ["a", "b"]}}}, "expires_at": clock.now()},
    ]
    for each in wrong:
        with pytest.raises(grants.NotNarrower):
            grants.reduce(grant.pk, each["keep"], expires_at=each.get("expires_at"), by=ANA, reason="x")
    grants.revoke(grant.pk, by=ANA, reason="gone")
    with pytest.raises(grants.AlreadyEnded):
        grants.reduce(grant.pk, {kept: {}}, by=ANA, reason="x")
