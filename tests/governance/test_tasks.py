from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from audit.context import SYSTEM
from entitlements import people
from governance import tasks
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
