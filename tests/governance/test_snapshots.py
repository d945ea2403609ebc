"""A world that was put back is the one that was made, and none is put back where it would be another."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta

import psycopg
import pytest
from django.db import transaction

from audit.models import Event
from entitlements.people.models import Person
from tests import make, snapshots, waits
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import addresses

type Move = Callable[[datetime | timedelta], datetime]
pytestmark = pytest.mark.django_db


def build() -> Company:
    return companies.found.__wrapped__()  # type: ignore[attr-defined, no-any-return]


@pytest.fixture
def snapshot(db: None) -> snapshots.Snapshot:  # noqa: ARG001
    made = snapshots.Snapshot(build)
    made.take()
    assert not Person.objects.exists()
    return made


def sizes() -> dict[str, int]:
    return {table: len(rows) for table, rows in snapshots._rows().items()}


def test_what_is_put_back_is_what_is_made(snapshot: snapshots.Snapshot) -> None:
    with transaction.atomic():
        build()
        made = sizes()
        transaction.set_rollback(True)

    company = snapshot.put_back()

    assert sizes() == made
    assert company.named("alice").manager == company.mona
    assert company is not snapshot.made
    make.grant(company.bot, company.use, people=[company.alice])
    numbers = Event.objects.values_list("producer", "sequence")
    assert len(set(numbers)) == len(numbers) == made["pending"] + 1


def test_a_world_of_everything_is_put_back_whole() -> None:
    made = snapshots.Snapshot(addresses.world.__wrapped__)  # type: ignore[attr-defined]
    made.take()
    with transaction.atomic():
        made.build()
        sizes_made = sizes()
        transaction.set_rollback(True)

    assert made.put_back() is not None
    assert sizes() == sizes_made


def test_nothing_is_put_back_where_something_is(snapshot: snapshots.Snapshot) -> None:
    make.person("zoe")
    assert snapshot.put_back() is None
    assert Person.objects.count() == 1


def test_nothing_is_put_back_at_another_time(snapshot: snapshots.Snapshot, at: Move) -> None:
    for away in (timedelta(days=1), timedelta(days=-2)):
        at(away)
        assert snapshot.put_back() is None
    at(timedelta(days=1))
    assert snapshot.put_back() is not None


def test_a_world_that_grew_old_is_made_again_and_then_wanted(snapshot: snapshots.Snapshot) -> None:
    assert snapshot.taken is not None
    snapshot.taken -= snapshots.OLDEST
    for is_wanted in (False, True):
        assert snapshot.put_back() is None
        assert snapshot.is_wanted is is_wanted


@pytest.mark.django_db(transaction=True)
def test_nothing_is_put_back_under_a_program_that_follows_the_database() -> None:
    made = snapshots.Snapshot(build)
    made.take()
    with psycopg.connect(os.environ["DATABASE_URL"]):
        assert made.put_back() is None
    waits.until(lambda: not snapshots._is_watched())
    assert made.put_back() is not None
    assert Person.objects.count() == 10
