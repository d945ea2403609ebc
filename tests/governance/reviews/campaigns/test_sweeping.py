"""What is swept up: one removal that cannot be carried out keeps nobody from the next, and no job ends half-way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from celery.app.task import Task
from django.conf import settings

from audit import clock
from audit.actions import Action
from audit.export import timeline
from entitlements.grants.models import Grant
from governance import tasks
from governance.reviews.campaigns.models import Campaign
from governance.reviews.decisions import recall
from governance.reviews.remediation import exceptions, remediation, verification
from governance.reviews.remediation.models import Remediation, RemediationException
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db

made_world, company = shared.world(companies.found)

type Move = Callable[[datetime | timedelta], datetime]


def two_removals(company: Company) -> tuple[Campaign, list[UUID]]:
    """Begin a review of two accesses of which both are removed."""
    worlds.granted(company)
    make.grant(make.agent("other", sponsor=company.sofia, owner=company.otto), company.use, people=[company.bob])
    campaign = worlds.campaign(company)
    items = list(campaign.items.order_by("number"))
    return campaign, worlds.answer(campaign, company.sofia, [(each, worlds.REMOVE) for each in items]).removals


def test_a_removal_that_fails_stops_no_other_and_is_told(
    company: Company, at: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, (first, second) = two_removals(company)
    at(timedelta(minutes=20))
    prove = remediation.verify

    def broken(decision: UUID) -> Remediation:
        if decision == first:
            message = "nobody thought of this"
            raise RuntimeError(message)
        return prove(decision)

    with monkeypatch.context() as patch:
        patch.setattr(remediation, "verify", broken)
        with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="nobody thought of this")):
            tasks.prove_removals()
    assert Remediation.objects.get(pk=second).finished_at is not None
    assert Remediation.objects.get(pk=first).finished_at is None
    tasks.prove_removals()
    assert Remediation.objects.get(pk=first).finished_at is not None


@pytest.mark.parametrize("way", ["recalled", "reopened"])
def test_an_exception_ends_with_the_removal_that_is_taken_back(
    company: Company, at: Move, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """And what it stood for is never due to be proven again."""
    campaign, (first, second) = two_removals(company)
    with monkeypatch.context() as broken:
        broken.setattr(verification, "_calls", lambda *_, **__: [])  # nobody can say what the tools answer now
        assert remediation.verify(first).state == "failed"
    until = clock.now() + timedelta(days=2)
    exceptions.make(first, control="watched", expires_at=until, by=company.ana, reason="vendor")
    item = campaign.items.get(decisions=first)
    if way == "recalled":
        recall.recall(item.pk, by=company.sofia)
    else:
        recall.reopen(item.pk, by=company.ana, reason="It is needed after all.")
    assert RemediationException.objects.get().ended_at is not None
    assert timeline.of("decision", first).filter(action=Action.REMEDIATION_EXCEPTION_ENDED).count() == 1

    at(timedelta(days=3))
    tasks.prove_removals()
    states = {each.pk: (each.state, each.finished_at is None) for each in Remediation.objects.all()}
    assert states == {first: ("withdrawn", True), second: ("verified", False)}


def test_an_exception_that_outlived_its_removal_ends_alone(company: Company, at: Move) -> None:
    """As installations may hold one from before."""
    campaign, (first, second) = two_removals(company)
    recall.recall(campaign.items.get(decisions=first).pk, by=company.sofia)
    now = clock.now()
    until = {"made_at": now, "expires_at": now + timedelta(days=1)}
    RemediationException.objects.create(
        remediation_id=first, by=company.ana, reason="vendor", control="watched", **until
    )
    at(timedelta(days=2))
    tasks.prove_removals()
    assert RemediationException.objects.get().ended_at is not None
    assert Remediation.objects.get(pk=first).state == "withdrawn"
    assert Remediation.objects.get(pk=second).finished_at is not None
    assert Grant.objects.filter(ended_at=None).count() == 1


@pytest.mark.parametrize("job", [tasks.seal_evidence, tasks.stage_campaign])
def test_what_goes_through_a_whole_review_in_one_go_has_hours(job: Task) -> None:
    """A pack of many items takes longer than a job may last, and would be begun anew for ever."""
    assert min(job.soft_time_limit, job.time_limit) >= 3600 > settings.CELERY_TASK_TIME_LIMIT
