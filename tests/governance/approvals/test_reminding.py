"""Whoever a request waits for is reminded after two days, then once a day."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audit import clock
from governance.approvals import approvals, reminders
from governance.notices.models import Notice
from governance.out_of_office import delegations
from governance.requests.models import AccessRequest
from tests.governance import companies

pytestmark = pytest.mark.django_db


def test_reminders_come_after_two_days_then_daily_and_stop_with_the_answer_or_the_time() -> None:
    company = companies.found()
    request, now = company.ask("remove"), clock.now()
    delegations.make(company.mona, starts_at=now, ends_at=now + timedelta(days=9), by=company.sam, reason="on leave")

    def at(days: float) -> list[str]:
        AccessRequest.objects.update(asked_at=now - timedelta(days=days), answer_by=now + timedelta(days=7 - days))
        Notice.objects.all().update(about="told")
        reminders.remind()
        return sorted(Notice.objects.exclude(about="told").values_list("person__login", flat=True))

    assert at(1.9) == []
    assert at(2.1) == ["mona", "sam", "sofia"]
    assert at(2.2) == []
    approvals.approve(request.pk, by=company.sofia)
    assert at(3.1) == ["mona", "sam"]
    assert "Still waits for you" in Notice.objects.filter(person=company.sam).latest("made_at").sentence
    AccessRequest.objects.update(asked_at=now - timedelta(days=8), answer_by=now - timedelta(seconds=1))
    assert reminders.remind() == 0
