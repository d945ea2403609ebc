from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from audit.context import SYSTEM
from entitlements.people import people
from governance import tasks
from governance.celery import app
from governance.operations import invariants, metrics
from tests import databases, make
from tests.governance import companies
from tests.governance.companies import waiting

pytestmark = pytest.mark.django_db


def test_the_sweep_ends_what_is_overdue_and_may_run_twice(at: Callable[[timedelta], Any]) -> None:
    request = companies.found().ask()
    at(timedelta(days=8))
    tasks.expire_requests()
    tasks.expire_requests()
    request.refresh_from_db()
    assert request.state == "expired"


def test_what_waits_for_somebody_who_left_is_put_before_others() -> None:
    company = companies.found()
    request = company.ask("remove")
    people.disable(company.sam, by=SYSTEM, reason="left")
    tasks.reroute_requests()
    assert waiting(request) == {"sponsor": ["sofia"], "system_owner": ["resa", "rob"]}


def test_sign_ins_whose_time_is_over_are_deleted_and_no_others(client: Client) -> None:
    for login in ("alice", "bob"):
        client.cookies.clear()
        client.force_login(make.person(login))
    over = Session.objects.order_by("pk").first()
    assert over is not None
    Session.objects.filter(pk=over.pk).update(expire_date=timezone.now() - timedelta(seconds=1))
    tasks.clear_sessions()
    assert over.pk not in set(Session.objects.values_list("pk", flat=True))
    assert Session.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_month_without_a_partition_is_named_counted_and_made(at: Callable[[timedelta], Any]) -> None:
    second = (at(timedelta()).replace(day=1) + timedelta(days=63)).replace(day=1)
    with psycopg.connect(databases.addresses().owner) as owner:
        owner.execute(f"DROP TABLE events_{second:%Y_%m}")
    (found,) = invariants.check(only=["16"])
    assert found.violations == (f"there is no partition for the events of {second:%Y-%m}",)
    assert metrics.months_ahead() == 1
    tasks.make_event_months()
    assert invariants.check(only=["16"])[0].count == 0
    assert metrics.months_ahead() >= 12


def test_both_are_on_the_schedule() -> None:
    scheduled = {each["task"]: each["schedule"] for each in app.conf.beat_schedule.values()}
    assert scheduled["governance.tasks.clear_sessions"] == 3600
    assert scheduled["governance.tasks.make_event_months"] == 24 * 3600
