from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.conf import settings

from audit import clock
from audit.context import SYSTEM
from entitlements import tasks
from entitlements.catalog.models import System
from entitlements.decisions import guardrails
from entitlements.grants.models import Grant
from entitlements.idempotency.models import IdempotentAnswer
from entitlements.revocation import revocation
from entitlements.revocation.models import Revocation
from governance.celery import app
from governance.worker import queues
from tests import make


def test_every_job_of_the_schedule_exists_and_takes_nothing() -> None:
    app.autodiscover_tasks(force=True)
    for entry in app.conf.beat_schedule.values():
        assert entry["task"] in app.tasks
        assert not entry.get("args")


def test_a_tick_is_worth_nothing_once_the_next_one_is_sent() -> None:
    for name, entry in app.conf.beat_schedule.items():
        assert 0 < entry.get("options", {}).get("expires", 0) <= entry["schedule"], name


def test_each_task_has_its_queue_by_one_table() -> None:
    app.autodiscover_tasks(force=True)
    assert queues.ROUTES.keys() <= app.tasks.keys()
    for task in app.tasks:
        queue = app.amqp.router.route({}, task)["queue"]
        assert (queue.name, queue.routing_key) == (queues.of(task), queues.of(task))


def test_what_has_to_happen_within_some_minutes_is_looked_for_as_often() -> None:
    every = {name: entry["schedule"] for name, entry in app.conf.beat_schedule.items()}
    assert every["reassign-leavers"] <= 5 * 60  # design 5: a reviewer who leaves is replaced within five minutes
    assert every["apply-deadlines"] <= 15 * 60
    assert every["remind-reviewers"] <= 60 * 60


def test_jobs_are_json_without_results_and_acknowledged_late() -> None:
    assert settings.CELERY_ACCEPT_CONTENT == ["json"]
    assert settings.CELERY_TASK_ACKS_LATE
    assert settings.CELERY_RESULT_BACKEND is None


@pytest.mark.django_db
def test_grants_expire_until_none_is_due(at: Callable[[datetime | timedelta], datetime]) -> None:
    at(clock.now())
    grants = [make.grant(lasts=timedelta(hours=1)) for _ in range(3)]
    later = make.grant(lasts=timedelta(days=2))

    at(timedelta(hours=2))
    tasks.expire_grants()
    tasks.expire_grants()

    assert {grant.state for grant in Grant.objects.filter(pk__in=[each.pk for each in grants])} == {"expired"}
    assert Grant.objects.get(pk=later.pk).state == "active"


@pytest.mark.django_db(transaction=True)
def test_a_revocation_whose_caller_went_away_still_gets_its_receipt(
    at: Callable[[datetime | timedelta], datetime],
) -> None:
    at(clock.now())
    guardrails.restart_everything(by=SYSTEM, reason="so that the row exists")
    left = revocation.revoke(
        revocation.Target("everything", "everything"), by=make.analyst().principal, reason="fire drill", wait=False
    )
    assert left.receipt == ""

    tasks.settle_revocations()
    assert Revocation.objects.get(pk=left.pk).receipt == ""
    at(timedelta(minutes=1))
    tasks.settle_revocations()

    assert Revocation.objects.get(pk=left.pk).receipt.count(".") == 2


@pytest.mark.django_db
def test_answers_are_forgotten_after_a_day() -> None:
    old = IdempotentAnswer.objects.create(principal="person:ana", key="old", fingerprint="f", status=200)
    IdempotentAnswer.objects.filter(pk=old.pk).update(created_at=clock.now() - timedelta(hours=25))
    IdempotentAnswer.objects.create(principal="person:ana", key="new", fingerprint="f", status=200)

    tasks.forget_idempotent_answers()

    assert [answer.key for answer in IdempotentAnswer.objects.all()] == ["new"]


@pytest.mark.django_db
@pytest.mark.loopback
def test_a_system_that_does_not_answer_changes_nothing() -> None:
    system = make.system(upstream_url="http://localhost:9/mcp")
    tool = make.tool(system)

    tasks.discover_tools(system.pk)

    tool.refresh_from_db()
    assert tool.state == "approved"
    found = System.objects.get(pk=system.pk)
    assert (found.discovered_at, found.failures, found.problem) == (None, 1, "address")
