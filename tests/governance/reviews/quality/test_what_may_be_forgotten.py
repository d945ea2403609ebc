"""What the database lets go of a decision and of a sealed assignment, and whatever else it refuses, to every role."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from audit import clock
from governance import tasks
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.quality import retention
from governance.reviews.quality.models import Timing, TimingRun
from tests import databases
from tests.audit.make import Archive
from tests.governance.companies import Company
from tests.governance.reviews import longago, worlds
from tests.governance.reviews.longago import TIMES, Move, review
from tests.governance.reviews.pack.test_evidence_pack import archive

__all__ = ["archive", "review"]
pytestmark = pytest.mark.django_db(transaction=True)


REFUSED = [
    "SET dwell_ms = 1",
    "SET dwell_ms = 0",
    "SET dwell_ms = NULL, comment = 'x'",
    "SET dwell_ms = NULL, evidence_opened = NULL",
    "SET dwell_ms = NULL, decided_at = decided_at - interval '1 microsecond'",
    "SET dwell_ms = NULL, limits = '{\"1\": 2.0}'",
    "SET comment = 'x'",
]


def _tried(address: str, statement: str) -> str:
    """Try a statement through one role; returns what refuses it, or nothing, and takes it back."""
    with psycopg.connect(address) as role:
        try:
            role.execute(statement)
        except psycopg.Error as error:
            return str(error).splitlines()[0]
        finally:
            role.rollback()
    return ""


def test_no_role_may_change_more_of_a_decision(review: tuple[Company, Campaign], roles: databases.Addresses) -> None:
    _, campaign = review
    table, allowed = "UPDATE governance_reviewdecision ", "SET dwell_ms = NULL"
    never = "what a review holds is never changed or deleted"
    for role in (roles.app, roles.owner):
        assert _tried(role, table + allowed) == never, "not before it is put together"
    TimingRun.objects.create(campaign=campaign, begun_at=clock.now(), put_together_at=clock.now())
    for role in (roles.app, roles.owner):
        assert _tried(role, table + allowed) == ""
        for each in REFUSED:
            assert _tried(role, table + each) == never, each
        assert _tried(role, "DELETE FROM governance_reviewdecision") == never
    for each in [allowed, *REFUSED]:
        assert "permission denied" in _tried(roles.seal, table + each)
    retention.forget(campaign.pk)
    for role in (roles.app, roles.owner):
        assert _tried(role, table + allowed) == never, "nothing is there to forget"
        assert _tried(role, table + "SET dwell_ms = 5000") == never, "and it never comes back"


def test_no_role_may_forget_what_is_younger(at: Move, roles: databases.Addresses) -> None:
    today = clock.now()
    company, campaign, sponsors = longago.begun(at)
    at(today - timedelta(days=392))  # thirteen months are 393 days at least
    longago.answer(campaign, {person: [ms] for person, ms in zip(sponsors, TIMES, strict=True)})
    archived = longago.ended(campaign, company)
    TimingRun.objects.create(campaign=archived, begun_at=clock.now(), put_together_at=clock.now())
    for role in (roles.app, roles.owner):
        assert "never changed" in _tried(role, "UPDATE governance_reviewdecision SET dwell_ms = NULL")
    at(today)
    tasks.forget_timings()
    assert ReviewDecision.objects.filter(dwell_ms=None).count() == 0


CHANGE = "UPDATE governance_assignment SET"
SEALED = f"{CHANGE} dwell_ms = 0, opened_at = date_trunc('day', opened_at, 'UTC'),"
SEALED += " evidence_opened_at = date_trunc('day', evidence_opened_at, 'UTC')"


def test_no_role_may_change_more_of_a_sealed_assignment(archive: Archive, at: Move, roles: databases.Addresses) -> None:
    today = clock.now()
    company, campaign, sponsors = longago.begun(at, 6)
    longago.answer(campaign, {person: [ms] for person, ms in zip(sponsors[:5], TIMES, strict=True)})
    at(today - timedelta(days=380))
    longago.answer(campaign, {sponsors[5]: [9_000]})
    longago.ended(campaign, company)
    archive.seal()
    worlds.sealed(campaign, company.ana)
    at(today)
    older = f" WHERE reviewer_id <> {sponsors[5].pk}"
    for role in (roles.app, roles.owner):
        assert _tried(role, SEALED + older) == ""
        for said in (
            SEALED,  # one of them is younger
            SEALED + ", state = 'withdrawn'" + older,
            SEALED.replace("dwell_ms = 0", "dwell_ms = 1") + older,
            f"{CHANGE} dwell_ms = 0{older}",
            f"{CHANGE} opened_at = NULL{older}",
            f"{CHANGE} resolution = '{{}}'{older}",
        ):
            assert _tried(role, said) == "what is sealed stays as it is", said
    assert "permission denied" in _tried(roles.seal, SEALED)


def test_what_was_put_together_is_never_changed_and_comes_first(review: tuple[Company, Campaign]) -> None:
    _, campaign = review
    for few in ({"people": 4}, {"timed": 4}, {"fast": 6}):
        with pytest.raises(DatabaseError), transaction.atomic():
            Timing.objects.create(campaign=campaign, **{"people": 5, "timed": 5, "fast": 0, "median_ms": 1, **few})
    tasks.forget_timings()
    for statement in (
        "UPDATE governance_timing SET fast = 0",
        "DELETE FROM governance_timing",
        "DELETE FROM governance_timingrun",
        "UPDATE governance_timingrun SET put_together_at = NULL",
    ):
        with pytest.raises(DatabaseError, match="never changed"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    with pytest.raises(DatabaseError, match="before the first is forgotten"), transaction.atomic():
        Timing.objects.create(campaign=campaign, risk="high", people=5, timed=5, fast=0, median_ms=1)
