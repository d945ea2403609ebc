"""Many connections lease from one row at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.db import connection

from entitlements.budgets import budgets
from entitlements.budgets.budgets import What
from entitlements.people.models import Role
from tests import make

pytestmark = pytest.mark.django_db(transaction=True)


def test_leases_at_the_same_time_are_never_more_than_there_is() -> None:
    by = make.person(roles=[Role.ANALYST])
    row = budgets.set_budget(What("calls", Decimal(3000)), by=by, reason="A bound.", agent=make.agent().slug)

    def lease(_: int) -> Decimal:
        total = Decimal(0)
        try:
            with connection.cursor() as cursor:
                for _ in range(60):
                    cursor.execute("SELECT leased FROM lease_budget_v1(%s, 1, 1)", [row.pk])
                    total += cursor.fetchone()[0]
        finally:
            connection.close()
        return total

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(lease, range(6))) == 3000
