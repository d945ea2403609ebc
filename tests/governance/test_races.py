"""Races with real transactions: whatever overlaps, one wins, one grant begins, and the record says it once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection

from audit import clock, timeline
from audit.actions import Action
from audit.context import SYSTEM
from entitlements import agents, people
from entitlements.errors import DomainError
from entitlements.models import Agent, Grant
from governance import approvals, requests
from governance.models import AccessRequest, Approval
from tests import make
from tests.governance import companies
from tests.governance.companies import Company

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]

ROUNDS = 150


def at_once(*verbs: Callable[[], object]) -> list[str]:
    """Run verbs in threads that start together, and return for each "done" or the code of its refusal."""
    start, answers = threading.Barrier(len(verbs)), [""] * len(verbs)

    def run(place: int, verb: Callable[[], object]) -> None:
        try:
            start.wait()
            verb()
            answers[place] = "done"
        except DomainError as refusal:
            answers[place] = str(refusal.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(verbs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def rounds(company: Company, *tools: str) -> list[AccessRequest]:
    """Ask once for each round, each time for an agent of its own."""
    asked = []
    for _ in range(ROUNDS):
        bot = make.agent(sponsor=company.sofia, owner=company.otto)
        asked.append(make.request(company.use, bot, by=company.otto, people=[company.alice], tools=tools))
    return asked


def answers_of(request: AccessRequest) -> Counter[str]:
    return Counter(event.action for event in timeline.of("request", request.pk))


def test_two_approvers_of_the_last_stage_make_one_grant() -> None:
    company = companies.found()
    people.disable(company.sam, by=SYSTEM, reason="left")
    seen: Counter[str] = Counter()
    for request in rounds(company, "remove"):
        approvals.approve(request.pk, by=company.sofia)
        answers = at_once(
            lambda pk=request.pk: approvals.approve(pk, by=company.resa),  # type: ignore[misc]
            lambda pk=request.pk: approvals.approve(pk, by=company.rob),  # type: ignore[misc]
        )
        seen.update(answers)
        assert sorted(answers) == ["done", "request_decided"]
        assert Grant.objects.filter(request_id=request.pk).count() == 1
        assert answers_of(request)[Action.APPROVAL_GIVEN] == 2
    assert Grant.objects.count() == ROUNDS == seen["done"]


def test_two_stages_answered_at_once_make_one_grant() -> None:
    company = companies.found()
    for request in rounds(company, "remove"):
        answers = at_once(
            lambda pk=request.pk: approvals.approve(pk, by=company.sofia),  # type: ignore[misc]
            lambda pk=request.pk: approvals.approve(pk, by=company.sam),  # type: ignore[misc]
        )
        assert answers == ["done", "done"]
        assert Grant.objects.filter(request_id=request.pk).count() == 1
        assert answers_of(request)[Action.GRANT_ISSUED] == 1


def test_of_an_approval_and_a_withdrawal_one_wins() -> None:
    company = companies.found()
    for request in rounds(company, "now"):
        approved, withdrawn = at_once(
            lambda pk=request.pk: approvals.approve(pk, by=company.sofia, expected_version=1),  # type: ignore[misc]
            lambda pk=request.pk: requests.cancel(pk, company.otto),  # type: ignore[misc]
        )
        request.refresh_from_db()
        won = approved == "done"
        assert (approved, withdrawn) == (("done", "request_decided") if won else ("stale", "done"))
        assert request.state == ("approved" if won else "cancelled")
        assert Grant.objects.filter(request_id=request.pk).count() == int(won)
        waiting = request.approvals.filter(answer=Approval.Answer.WAITING)
        assert not waiting.exists()


def test_of_an_approval_and_the_sweep_one_wins() -> None:
    company = companies.found()
    for request in rounds(company, "now"):
        # The sweep counts the hour that the approver, who looked at the clock before, does not.
        AccessRequest.objects.filter(pk=request.pk).update(answer_by=clock.now() + timedelta(milliseconds=6))
        approved, _ = at_once(
            lambda pk=request.pk: approvals.approve(pk, by=company.sofia),  # type: ignore[misc]
            lambda: [requests.expire_due() for _ in range(8)],
        )
        requests.expire_due()
        request.refresh_from_db()
        assert (approved, request.state) in {
            ("done", "approved"),
            ("request_decided", "expired"),
            ("request_expired", "expired"),
            ("request_expired", "in_approval"),
        }
        assert Grant.objects.filter(request_id=request.pk).count() == int(approved == "done")


def test_an_agent_stopped_while_it_is_approved_is_stopped_and_its_grant_is_refused_or_older() -> None:
    company = companies.found()
    for request in rounds(company, "now"):
        approved, stopped = at_once(
            lambda pk=request.pk: approvals.approve(pk, by=company.sofia),  # type: ignore[misc]
            lambda bot=request.agent: agents.suspend(bot, by=SYSTEM, reason="odd"),  # type: ignore[misc]
        )
        assert stopped == "done"
        assert approved in {"done", "agent_not_active"}
        agent = Agent.objects.get(pk=request.agent_id)
        grants = list(Grant.objects.filter(request_id=request.pk))
        assert len(grants) == int(approved == "done")
        assert agent.tokens_valid_after is not None
        order = [event.action for event in timeline.of("agent", agent.slug)]
        if grants:
            assert order.index(Action.GRANT_ISSUED) < order.index(Action.AGENT_SUSPENDED)
