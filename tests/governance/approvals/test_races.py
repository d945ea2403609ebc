"""Races with real transactions: whatever overlaps, one wins, one grant begins, and the record says it once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM
from audit.export import timeline
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.errors import DomainError
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.people import people
from entitlements.people.models import Person
from governance.approvals import approvals
from governance.approvals.models import Approval
from governance.out_of_office import delegations
from governance.out_of_office.models import OutOfOfficeDelegate
from governance.request_changes import renewal as renewal_actions
from governance.requests import expiry, requests
from governance.requests.models import AccessRequest
from tests import make, shared, waits
from tests.entitlements.api import client as api
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = shared.race_rounds(8)
"""How often two verbs meet; `make full` lets them meet more often."""


class Racers:
    """Threads, each with a connection of its own, that start a verb each at the same moment, round after round."""

    def __init__(self, many: int = 2) -> None:
        self.start = threading.Barrier(many)
        self.lanes = [ThreadPoolExecutor(1) for _ in range(many)]

    def at_once(self, *verbs: Callable[[], object]) -> list[str]:
        """Return for each verb "done" or the code of its refusal."""
        running = [lane.submit(self._run, verb) for lane, verb in zip(self.lanes, verbs, strict=True)]
        return [each.result() for each in running]

    def _run(self, verb: Callable[[], object]) -> str:
        self.start.wait()
        try:
            verb()
        except DomainError as refusal:
            return str(refusal.code)
        return "done"

    def close(self) -> None:
        for lane in self.lanes:
            lane.submit(connections.close_all).result()
            lane.shutdown()


@pytest.fixture
def racers() -> Iterator[Racers]:
    made = Racers()
    yield made
    made.close()


@pytest.fixture
def four() -> Iterator[Racers]:
    made = Racers(4)
    yield made
    made.close()


def rounds(company: Company, *tools: str) -> list[AccessRequest]:
    """Ask once for each round, each time for an agent of its own."""
    bots = Agent.objects.bulk_create(
        Agent(slug=f"bot-{number}", name="bot", kind="shared", sponsor=company.sofia, owner=company.otto)
        for number in range(ROUNDS)
    )
    return [make.request(company.use, bot, by=company.otto, people=[company.alice], tools=tools) for bot in bots]


def answers_of(request: AccessRequest) -> Counter[str]:
    return Counter(event.action for event in timeline.of("request", request.pk))


def test_two_approvers_of_the_last_stage_make_one_grant(racers: Racers) -> None:
    company = companies.found()
    people.disable(company.sam, by=SYSTEM, reason="left")
    seen: Counter[str] = Counter()
    for request in rounds(company, "remove"):
        approvals.approve(request.pk, by=company.sofia)
        answers = racers.at_once(
            lambda pk=request.pk: approvals.approve(pk, by=company.resa),  # type: ignore[misc]
            lambda pk=request.pk: approvals.approve(pk, by=company.rob),  # type: ignore[misc]
        )
        seen.update(answers)
        assert sorted(answers) == ["done", "request_decided"]
        assert Grant.objects.filter(request_id=request.pk).count() == 1
        assert answers_of(request)[Action.APPROVAL_GIVEN] == 2
    assert Grant.objects.count() == ROUNDS == seen["done"]


def test_two_stages_answered_at_once_make_one_grant(racers: Racers) -> None:
    company = companies.found()
    for request in rounds(company, "remove"):
        answers = racers.at_once(
            lambda pk=request.pk: approvals.approve(pk, by=company.sofia),  # type: ignore[misc]
            lambda pk=request.pk: approvals.approve(pk, by=company.sam),  # type: ignore[misc]
        )
        assert answers == ["done", "done"]
        assert Grant.objects.filter(request_id=request.pk).count() == 1
        assert answers_of(request)[Action.GRANT_ISSUED] == 1


def test_of_four_approvals_of_one_stage_one_counts(four: Racers) -> None:
    """Two of the four answer in the places of the other two."""
    company = companies.found()
    people.disable(company.sam, by=SYSTEM, reason="left")
    now = clock.now()
    for away, stands_in in ((company.resa, company.mona), (company.rob, company.mallory)):
        delegations.make(stands_in, starts_at=now, ends_at=now + timedelta(days=1), by=away, reason="on leave")
    for request in rounds(company, "remove"):
        approvals.approve(request.pk, by=company.sofia)
        answers = four.at_once(
            *(
                lambda pk=request.pk, by=by: approvals.approve(pk, by=by)
                for by in (company.resa, company.rob, company.mona, company.mallory)
            )
        )
        assert sorted(answers) == ["done", *["request_decided"] * 3]
        assert Grant.objects.filter(request_id=request.pk).count() == 1
        assert answers_of(request)[Action.APPROVAL_GIVEN] == 2


def test_of_an_approval_and_a_denial_one_wins(racers: Racers) -> None:
    company = companies.found()
    people.disable(company.sam, by=SYSTEM, reason="left")
    for request in rounds(company, "remove"):
        approvals.approve(request.pk, by=company.sofia)
        approved, denied = racers.at_once(
            lambda pk=request.pk: approvals.approve(pk, by=company.resa),  # type: ignore[misc]
            lambda pk=request.pk: approvals.deny(pk, by=company.rob, reason="no"),  # type: ignore[misc]
        )
        won = approved == "done"
        assert (approved, denied) == (("done", "request_decided") if won else ("request_decided", "done"))
        request.refresh_from_db()
        assert request.state == ("approved" if won else "denied")
        assert Grant.objects.filter(request_id=request.pk).count() == int(won)


def by_doors(request: AccessRequest, person: Person, *verbs: str) -> list[Callable[[], object]]:
    """Return what answers a request by the page, the API and in bulk, as one person in as many windows.

    Each raises what was refused for another reason than that the request has changed or has its answer.
    """
    said, path = {"reason": "Seen."}, f"/api/v1/requests/{request.pk}"
    tag = {"If-Match": f'"{request.version}"'}
    item = {"id": str(request.pk), "etag": tag["If-Match"]}
    form = {"version": str(request.version), "tool": ["now"], **said}
    page, by_api = visits.as_(person), [api.of(person) for _ in range(3)]
    withdraws = api.of(request.requested_by)
    known: dict[str, Callable[[], Any]] = {
        "page": lambda: page.post(f"/requests/{request.pk}/", {"verb": "approve", **form}),
        "api": lambda: by_api[0].post(f"{path}/approve", said, headers=tag),
        "bulk": lambda: by_api[1].post("/api/v1/requests/approve", {"items": [item], **said}),
        "deny": lambda: by_api[2].post(f"{path}/deny", {**said, "because": "not_needed"}, headers=tag),
        "cancel": lambda: withdraws.post(f"{path}/cancel", said, headers=tag),
    }
    return [lambda verb=verb: in_time(known[verb]()) for verb in verbs]  # type: ignore[misc]


def in_time(answer: Any) -> None:  # noqa: ANN401 - Django's test response
    assert answer.status_code in {200, 207, 302, 409, 412}, answer.content


@pytest.mark.parametrize("rival", ["api", "deny", "cancel"])
def test_whatever_overlaps_at_the_doors_a_request_has_one_end(four: Racers, rival: str) -> None:
    company = companies.found()
    for request in rounds(company, "now"):
        doors = by_doors(request, company.sofia, "page", "api", "bulk", rival)
        assert four.at_once(*doors) == ["done"] * 4
        request.refresh_from_db()
        assert Grant.objects.filter(request_id=request.pk).count() == int(request.state == "approved")
        told = answers_of(request)
        ends = {
            "approved": Action.APPROVAL_GIVEN,
            "denied": Action.APPROVAL_DENIED,
            "cancelled": Action.REQUEST_CANCELLED,
        }
        assert {state: told[action] for state, action in ends.items() if told[action]} == {request.state: 1}


def test_an_answer_in_a_place_comes_before_its_end_or_not_at_all(racers: Racers) -> None:
    company = companies.found()
    for request in rounds(company, "now"):
        now = clock.now()
        lent = delegations.make(
            company.mallory, starts_at=now, ends_at=now + timedelta(days=1), by=company.sofia, reason="on leave"
        )
        approved, ended = racers.at_once(
            lambda pk=request.pk: approvals.approve(pk, by=company.mallory),  # type: ignore[misc]
            lambda pk=lent.pk: delegations.end(pk, by=company.sofia, reason="back"),  # type: ignore[misc]
        )
        assert ended == "done"
        assert approved in {"done", "not_an_approver"}
        lent.refresh_from_db()
        stage = request.approvals.get()
        assert stage.answered_at is None or (lent.ended_at is not None and stage.answered_at <= lent.ended_at)


def test_of_two_delegations_that_would_close_a_ring_one_is_made(racers: Racers) -> None:
    company = companies.found()
    now = clock.now()

    def lend(giver: Person, taker: Person) -> Callable[[], object]:
        return lambda: delegations.make(
            taker, starts_at=now, ends_at=now + timedelta(days=1), by=giver, reason="on leave"
        )

    for _ in range(40):
        made = racers.at_once(lend(company.sofia, company.sam), lend(company.sam, company.sofia))
        assert sorted(made) == ["done", "out_of_office_in_ring"]
        lent = OutOfOfficeDelegate.objects.get(ended_at=None)
        delegations.end(lent.pk, by=lent.delegator, reason="back")


def test_a_grant_is_renewed_once_and_never_twice_open(racers: Racers) -> None:
    company = companies.found()
    for request in rounds(company, "now"):
        approvals.approve(request.pk, by=company.sofia)
        grant = Grant.objects.get(request_id=request.pk)

        def renew(grant: Grant = grant) -> object:
            return renewal_actions.renew(grant.pk, by=company.otto, lasts=timedelta(hours=1), reason="still needed")

        assert sorted(racers.at_once(renew, renew)) == ["done", "renewal_waits"]
        renewal = AccessRequest.objects.get(renews=grant)
        approved, stopped = racers.at_once(
            lambda pk=renewal.pk: approvals.approve(pk, by=company.sofia),  # type: ignore[misc]
            lambda pk=grant.pk: grants.revoke(pk, by=SYSTEM, reason="odd"),  # type: ignore[misc]
        )
        won = approved == "done"
        assert (approved, stopped) == (("done", "grant_already_ended") if won else ("renewed_access_stopped", "done"))
        assert Grant.objects.filter(agent=grant.agent, ended_at=None).count() == int(won)


def test_of_an_approval_and_a_withdrawal_one_wins(racers: Racers) -> None:
    company = companies.found()
    for request in rounds(company, "now"):
        approved, withdrawn = racers.at_once(
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


def test_of_an_approval_and_the_sweep_one_wins(racers: Racers) -> None:
    company = companies.found()
    for request in rounds(company, "now"):
        # The deadline falls into the race, so that either may find it passed or not.
        AccessRequest.objects.filter(pk=request.pk).update(answer_by=clock.now() + timedelta(milliseconds=6))
        approved, _ = racers.at_once(
            lambda pk=request.pk: approvals.approve(pk, by=company.sofia),  # type: ignore[misc]
            lambda: [expiry.expire_due() for _ in range(8)],
        )
        expiry.expire_due()
        request.refresh_from_db()
        assert (approved, request.state) in {
            ("done", "approved"),
            ("request_decided", "expired"),
            ("request_expired", "expired"),
            ("request_expired", "in_approval"),
        }
        assert Grant.objects.filter(request_id=request.pk).count() == int(approved == "done")


def test_an_agent_stopped_while_it_is_approved_is_stopped_and_its_grant_is_refused_or_older(racers: Racers) -> None:
    company = companies.found()
    for request in rounds(company, "now"):
        approved, stopped = racers.at_once(
            lambda pk=request.pk: approvals.approve(pk, by=company.sofia),  # type: ignore[misc]
            lambda bot=request.agent: agents.suspend(bot, by=SYSTEM, reason="odd"),  # type: ignore[misc]
        )
        assert stopped == "done"
        assert approved in {"done", "agent_not_active"}
        agent = Agent.objects.get(pk=request.agent_id)
        begun = list(Grant.objects.filter(request_id=request.pk))
        assert len(begun) == int(approved == "done")
        assert agent.tokens_valid_after is not None
        order = [event.action for event in timeline.of("agent", agent.slug)]
        if begun:
            assert order.index(Action.GRANT_ISSUED) < order.index(Action.AGENT_SUSPENDED)


def test_a_request_made_while_the_sponsor_changes_is_rerouted_at_the_end() -> None:
    """Overlap on purpose: the request is still open in its transaction when the change begins."""
    company = companies.found()
    made, go_on = threading.Event(), threading.Event()

    def ask() -> None:
        with transaction.atomic():
            company.ask()
            made.set()
            go_on.wait(waits.SECONDS)

    with ThreadPoolExecutor(2) as lanes:
        asking = lanes.submit(_and_close, ask)
        assert made.wait(waits.SECONDS)
        changing = lanes.submit(
            _and_close, lambda: make.hand_over(company.bot, "sponsor", company.mona, by=SYSTEM, reason="moves on")
        )
        time.sleep(0.3)
        assert not changing.done()
        go_on.set()
        asking.result()
        changing.result()

    assert companies.waiting(AccessRequest.objects.get()) == {"sponsor": ["sam"]}  # mona came after the ask


def _and_close(verb: Callable[[], object]) -> None:
    try:
        verb()
    finally:
        connections.close_all()
