"""A review whose worker is killed, and whose beat beats twice: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import psycopg
import pytest
import redis

from audit import timeline
from audit.actions import Action
from governance import reviews, tasks
from governance.models import Assignment, PopulationRow, Remediation, ReviewItem, Suggestion
from tests import databases, make
from tests.benchmarks.processes import family
from tests.governance.reviews import worlds
from tests.journeys.test_queue_faults import WORKER, process, queue, until

__all__ = ["queue"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault, pytest.mark.slow]


def killed_while_it_waits_for(table: str, begin: Callable[[], object], worker: int) -> None:
    """Let the worker come to this table, and kill the process that is at it."""
    with psycopg.connect(databases.addresses().owner) as owner:
        owner.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        begin()
        until(lambda: _is_wanted(owner, table))
        child = family(worker)[1]
        os.kill(child, signal.SIGKILL)
        until(lambda: child not in family(worker))
        owner.rollback()


def _is_wanted(owner: psycopg.Connection, table: str) -> bool:
    found = owner.execute(
        "SELECT 1 FROM pg_locks WHERE relation = %s::regclass AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        [table],
    )
    return found.fetchone() is not None


def test_a_review_survives_its_worker_while_it_is_staged_and_while_it_is_carried_out(queue: redis.Redis) -> None:
    company, _ = worlds.found()
    for number in range(3):
        make.grant(make.agent(f"helper-{number}", sponsor=company.sofia), worlds.low(company))
    campaign = worlds.campaign(company, start=False)
    reviews.stage(campaign.pk, by=company.ana)

    with process(*WORKER) as worker:
        until(lambda: len(family(worker.pid)) > 1)
        staging = str(campaign.pk)
        killed_while_it_waits_for("governance_suggestion", lambda: tasks.stage_campaign.delay(staging), worker.pid)
        campaign.refresh_from_db()
        assert campaign.state == "staging"
        queue.flushdb()  # its message is lost as well
        for _ in range(2):
            tasks.resume_staging.delay()
        until(lambda: type(campaign).objects.get(pk=campaign.pk).state == "staged")
        for held in (ReviewItem, PopulationRow, Suggestion, Assignment):
            assert held.objects.count() == 4, held

        reviews.activate(campaign.pk, by=company.ana)
        item = ReviewItem.objects.get(agent=company.bot)
        (removal,) = worlds.answer(campaign, company.sofia, [(item, worlds.REMOVE)]).removals
        killed_while_it_waits_for("governance_remediation", tasks.prove_removals.delay, worker.pid)
        queue.flushdb()
        for _ in range(2):
            tasks.prove_removals.delay()
        until(lambda: Remediation.objects.get(decision=removal).state == "verified")

    told = [event.action for event in timeline.of("campaign", "q4")]
    for once in (Action.CAMPAIGN_STAGED, Action.REVIEW_DECIDED, Action.REMOVAL_VERIFIED):
        assert told.count(once) == 1, once
