"""The verbs that answer a request: approve and deny. The last approval makes the grant.

A person who answers holds the request alone (an advisory lock), the people and the agent together with other issuers.
Each verb goes through phases: locks, facts read once, a pure judge, writes, record (docs/decisions/0057).
"""

from __future__ import annotations

from uuid import UUID, uuid4

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from entitlements.errors import DomainError, ReasonRequired, Stale
from entitlements.people.models import Person
from governance.approvals.facts import AnswerFacts, ApprovalFacts
from governance.approvals.issue import issue
from governance.approvals.models import Approval
from governance.eligibility.narrowing import NOTHING, Narrowing, check_size
from governance.requests import requests
from governance.requests.models import AccessRequest
from governance.sod import check

from . import events, rules


@transaction.atomic
def approve(
    request_id: UUID,
    *,
    by: Person,
    expected_version: int | None = None,
    narrow: Narrowing = NOTHING,
    reason: str = "",
) -> AccessRequest:
    """Approve a stage of a request, taking away from it first where wished. The last approval issues the grant with it.

    Raises NotFound, Stale, NotRecordable, what `rules.judge_approval` refuses with, narrowing.LimitsTooLarge,
    narrowing.ReasonTooLong; with the last stage also what grants.issue raises.
    """
    check_size(narrow.limits, reason)
    request = requests.locked(request_id, also=by)
    check.hold()
    facts = ApprovalFacts.read(request, by, narrow=narrow, expected_version=expected_version)
    verdict = rules.judge_approval(facts.judged)
    if isinstance(verdict, DomainError):
        raise verdict
    _write_approval(facts, verdict, reason=reason)
    grant_id = uuid4() if verdict.is_last else None
    with requests.trace_of(request):
        detail = events.approval(verdict, facts.left.taken)
        links = events.links(request, verdict.answer, grant_id)
        log.record(Action.APPROVAL_GIVEN, about=links, by=by.principal, reason=reason, detail=detail)
        if grant_id is None:
            requests.save(request)
        else:
            issue(facts.grant, grant_id, by=by.principal)
    return request


@transaction.atomic
def deny(
    request_id: UUID, *, by: Person, reason: str, because: str = "", expected_version: int | None = None
) -> AccessRequest:
    """Deny a request, which ends it; `because` is one of Approval.Because, or nothing.

    Raises NotFound, ReasonRequired, Stale, NotRecordable, narrowing.ReasonTooLong, and what `rules.judge_answer`
    refuses with.
    """
    check_size({}, reason)
    request = requests.locked(request_id, also=by)
    facts, answer = judged(request, by, expected_version)
    if not reason.strip():
        raise ReasonRequired
    _write(facts, answer, Approval.Answer.DENIED, reason=reason, because=because)
    requests.void(request)
    requests.save(request, state=AccessRequest.State.DENIED, decided_at=clock.now())
    with requests.trace_of(request):
        detail = {"stage": answer.stage.stage, **events.place(answer), "because": because, "state": request.state}
        links = events.links(request, answer, None)
        log.record(Action.APPROVAL_DENIED, about=links, by=by.principal, reason=reason, detail=detail)
    return request


def judged(request: AccessRequest, by: Person, expected_version: int | None) -> tuple[AnswerFacts, rules.Answer]:
    """Return the stage that a person answers now, with the facts of it. Raises what `rules.judge_answer` refuses with.

    The caller holds the request alone.
    """
    facts = AnswerFacts.read(request, by, expected_version=expected_version)
    answer = rules.judge_answer(facts.judged)
    if isinstance(answer, DomainError):
        raise answer
    return facts, answer


def _write_approval(facts: ApprovalFacts, verdict: rules.Approval, *, reason: str) -> None:
    """Write what is left of the request, the answer, and whom the other stages still wait for."""
    answer = facts.answer
    requests.write_narrowed(answer.request, facts.lines, facts.left)
    _write(answer, verdict.answer, Approval.Answer.APPROVED, reason=reason)
    if verdict.unneeded:
        keys = [stage.key for stage in verdict.unneeded]
        Approval.objects.filter(pk__in=keys).update(answer=Approval.Answer.VOID)
    for stage, people in verdict.waiting:
        if gone := stage.waiting_for - people:
            answer.stages[stage.key].waiting_for.remove(*(answer.people[login] for login in gone))


def _write(facts: AnswerFacts, answer: rules.Answer, word: Approval.Answer, *, reason: str, because: str = "") -> None:
    """Write an answer where none is yet. Raises Stale when there is one."""
    values = {"reason": reason, "denied_as": because, "by": facts.people[answer.by]}
    place = facts.people[answer.in_place_of] if answer.in_place_of else None
    unanswered = Approval.objects.filter(pk=answer.stage.key, answer=Approval.Answer.WAITING)
    if not unanswered.update(answer=word, answered_at=clock.now(), in_place_of=place, **values):
        raise Stale
