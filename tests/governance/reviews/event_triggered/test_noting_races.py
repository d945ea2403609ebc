"""What happens while the small review about the like of it is being opened is not lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections, transaction

from governance.reviews.event_triggered import causes, start
from governance.reviews.event_triggered.models import ReviewTrigger
from tests import waits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db(transaction=True)
_BLOCKED = "SELECT count(*) FROM pg_locks WHERE NOT granted"


def test_what_is_noted_while_its_like_is_being_opened_waits_as_a_cause_of_its_own() -> None:
    company, _ = worlds.found()
    causes.note("new_office", company.bot, {"to": "sofia"})

    def note() -> None:
        try:
            causes.note("new_office", company.bot, {"to": "sven"})
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            assert start.open_due() == 1
            noted = pool.submit(note)
            waits.until(_a_lock_is_waited_for)
        noted.result()

    asked, later = ReviewTrigger.objects.order_by("open_from")
    assert [(each.state, [fact["to"] for fact in each.facts]) for each in (asked, later)] == [
        ("opened", ["sofia"]),
        ("waiting", ["sven"]),
    ]


def _a_lock_is_waited_for() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_BLOCKED)
        return bool(cursor.fetchone()[0])
