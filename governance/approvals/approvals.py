"""The verbs that answer a request: approve, deny, and reroute when somebody left. The last approval makes the grant.

Everybody who answers holds the request alone (an advisory lock), the people and the agent together with other issuers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper, F

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.conflicts import independence
from entitlements.errors import DomainError, ReasonRequired, Stale
from entitlements.people.models import Person
from entitlements.words import Risk
from governance.approvals.issue import issue
from governance.approvals.models import Approval
from governance.deciders import request_rules
from governance.eligibility.narrowing import NOTHING, Narrowing, check_size
from governance.out_of_office import delegations
from governance.requests import candidates, requests
from governance.requests.models import AccessRequest
from governance.setup import readiness
from governance.sod import check

type Answer = Approval.Answer


@dataclass(frozen=True, slots=True)
class _Voice:
    """Who answers: for themselves, or in the place of another, who then answers no more."""

    by: Person
    in_place_of: Person | None = None

    @property
    def people(self) -> tuple[Person, ...]:
        return (self.by, self.in_place_of) if self.in_place_of else (self.by,)

    def said(self) -> dict[str, Any]:
        return {"in_place_of": self.in_place_of.login} if self.in_place_of else {}

    def links(self) -> list[str]:
        return [f"person:{self.in_place_of.login}"] if self.in_place_of else []


class OwnApproval(DomainError):
    """Nobody answers what they asked for themselves."""

    code, status = "own_approval", HTTPStatus.FORBIDDEN


class OwnerMayNotApprove(DomainError):
    """The technical owner of an agent never answers for that agent."""

    code, status = "owner_may_not_approve", HTTPStatus.FORBIDDEN


class BeneficiaryMayNotApprove(DomainError):
    """Nobody answers a request for an agent that would act for them."""

    code, status = "beneficiary_may_not_approve", HTTPStatus.FORBIDDEN


class CameLater(DomainError):
    """Whoever came to answer for the agent or the system after the ask does not answer it; others do, or ask again."""

    code, status = "came_after_the_ask", HTTPStatus.FORBIDDEN


class NotAnApprover(DomainError):
    """The request does not wait for you."""

    code, status = "not_an_approver", HTTPStatus.FORBIDDEN


class AlreadyAnswered(DomainError):
    """You, or somebody in the same place, has answered already."""

    code, status = "already_answered", HTTPStatus.CONFLICT


class RiskierThanAsked(DomainError):
    """A tool has become riskier since it was asked for, and more people must answer: leave it out, or ask again."""

    code, status = "riskier_than_asked", HTTPStatus.CONFLICT


_CONFLICTS: dict[request_rules.Why, type[DomainError]] = {
    request_rules.Why.REQUESTED_IT: OwnApproval,
    request_rules.Why.OWNS_THE_AGENT: OwnerMayNotApprove,
    request_rules.Why.BENEFITS: BeneficiaryMayNotApprove,
    request_rules.Why.CAME_LATER: CameLater,
    request_rules.Why.ANSWERED_APPEALED: candidates.AnsweredBefore,
}


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

    Raises NotFound, NotAnApprover, OwnApproval, OwnerMayNotApprove, BeneficiaryMayNotApprove, CameLater, Stale,
    Decided, Overdue, AlreadyAnswered, RiskierThanAsked, readiness.SetupIncomplete, NotRecordable, narrowing.Wider,
    narrowing.NothingLeft, narrowing.LimitsTooLarge, narrowing.ReasonTooLong; with the last stage also what
    `asking.check_in_force`, `asking.check_two_people` and grants.issue raise, and StoppedSince.
    """
    check_size(narrow.limits, reason)
    request = requests.locked(request_id, also=by)
    stage, voice = stage_for(request, by, expected_version)
    taken = requests.narrowed(request, narrow)
    check.check_request(request)
    readiness.check_allows(request.risk)
    unneeded = _unneeded(request)
    _answer(stage, Approval.Answer.APPROVED, voice, reason=reason)
    _void(request, unneeded)
    waiting = _pass_on(request, voice)
    grant_id = None if waiting else uuid4()
    detail = {
        "stage": stage.stage,
        **voice.said(),
        "narrowed": taken,
        "no_longer_needed": sorted(unneeded.elements()),
        "still_waiting": waiting,
        "state": AccessRequest.State.IN_APPROVAL if waiting else AccessRequest.State.APPROVED,
    }
    links = [*requests.about(request), *voice.links(), *([f"grant:{grant_id}"] if grant_id else [])]
    with requests.trace_of(request):
        log.record(Action.APPROVAL_GIVEN, about=links, by=by.principal, reason=reason, detail=detail)
        if grant_id is None:
            requests.save(request)
        else:
            issue(request, grant_id, by=by.principal)
    return request


@transaction.atomic
def deny(
    request_id: UUID, *, by: Person, reason: str, because: str = "", expected_version: int | None = None
) -> AccessRequest:
    """Deny a request, which ends it; `because` is one of Approval.Because, or nothing.

    Raises ReasonRequired, and what `approve` raises about person and state.
    """
    check_size({}, reason)
    request = requests.locked(request_id, also=by)
    stage, voice = stage_for(request, by, expected_version)
    if not reason.strip():
        raise ReasonRequired
    _answer(stage, Approval.Answer.DENIED, voice, reason=reason, because=because)
    requests.void(request)
    requests.save(request, state=AccessRequest.State.DENIED, decided_at=clock.now())
    with requests.trace_of(request):
        log.record(
            Action.APPROVAL_DENIED,
            about=[*requests.about(request), *voice.links()],
            by=by.principal,
            reason=reason,
            detail={"stage": stage.stage, **voice.said(), "because": because, "state": request.state},
        )
    return request


def stage_for(request: AccessRequest, by: Person, expected_version: int | None) -> tuple[Approval, _Voice]:
    """Find the stage that this person answers now, and in whose place: the first that waits for them.

    Conflicts are looked for again, since people move: being waited for is not enough (promise 6), and whoever left the
    office that they were asked in answers no longer. In another's place, what stands against either is in the way.
    """
    around = candidates.surroundings_of_request(request)
    by.refresh_from_db(fields=["is_active"])
    if by.is_active:  # whoever answers in another's place need not be around the request
        around = replace(around, active=around.active | {by.login})
    check_conflict(by, around)
    stages = list(request.approvals.order_by("position").prefetch_related("waiting_for"))
    voice, named = _voice(stages, by)
    holder = voice.people[-1]
    check_conflict(holder, around)
    if not named or not by.is_active or not around.is_in_office(holder.login):
        raise NotAnApprover
    requests.check_open(request, expected_version)
    waiting = [stage for stage in named if stage.answer == Approval.Answer.WAITING]
    voices = {each.pk for person in voice.people for each in independence.accounts_of(person)}
    if not waiting or any({stage.by_id, stage.in_place_of_id} & voices for stage in stages):
        raise AlreadyAnswered
    return waiting[0], voice


def check_conflict(person: Person, around: request_rules.Surroundings) -> None:
    """Raise the refusal of whoever may not answer, through any account of theirs."""
    for each in independence.accounts_of(person):
        known = around if each == person else replace(around, active=around.active | {each.login})
        against = request_rules.conflict(each.login, known)
        if against in _CONFLICTS:
            raise _CONFLICTS[against]


def _voice(stages: Sequence[Approval], by: Person) -> tuple[_Voice, list[Approval]]:
    """Say for whom somebody answers, and the stages of that place: their own first, else one that was left to them."""
    for voice in (_Voice(by), *(_Voice(by, place) for place in delegations.delegators_of(by).order_by("login"))):
        named = [stage for stage in stages if voice.people[-1] in stage.waiting_for.all()]
        if named:
            return voice, named
    return _Voice(by), []


def _unneeded(request: AccessRequest) -> Counter[str]:
    """Count the stages that the request, at its present risk, does without. Raises RiskierThanAsked."""
    present = [stage.stage for stage in request.approvals.all() if stage.answer != Approval.Answer.VOID]
    needed = requests.stages_needed(request)
    if not Counter(needed) <= Counter(present):
        raise RiskierThanAsked(risk=Risk(request.risk).value)
    return request_rules.no_longer_needed(needed, present)


def _void(request: AccessRequest, unneeded: Counter[str]) -> None:
    """Say that so many of the stages that still wait are no longer needed, the last of each first."""
    waiting = request.approvals.filter(answer=Approval.Answer.WAITING).order_by("-position")
    for stage, count in unneeded.items():
        gone = list(waiting.filter(stage=stage).values_list("pk", flat=True)[:count])
        Approval.objects.filter(pk__in=gone).update(answer=Approval.Answer.VOID)


def _answer(stage: Approval, answer: Answer, voice: _Voice, *, reason: str, because: str = "") -> None:
    """Write an answer where none is yet. Raises Stale when there is one."""
    unanswered = Approval.objects.filter(pk=stage.pk, answer=Approval.Answer.WAITING)
    said = {"by": voice.by, "in_place_of": voice.in_place_of, "reason": reason, "denied_as": because}
    if not unanswered.update(answer=answer, answered_at=clock.now(), **said):
        raise Stale


def _pass_on(request: AccessRequest, answered: _Voice) -> dict[str, list[str]]:
    """Take whoever answered out of the stages that still wait, and keep those who can still complete them together."""
    waiting = request.approvals.filter(answer=Approval.Answer.WAITING).order_by("position")
    stages = list(waiting.prefetch_related("waiting_for"))
    pools = {
        place: frozenset(person.login for person in stage.waiting_for.all() if person not in answered.people)
        for place, stage in enumerate(stages)
    }
    left = request_rules.completable(pools)
    if left is None:  # somebody left since: the stage goes on waiting, and `reroute` finds others
        left = pools
    for place, pool in left.items():
        stages[place].waiting_for.set(Person.objects.filter(login__in=pool))
    return _by_stage([(stages[place].stage, pool) for place, pool in left.items()])


def _by_stage(pools: Iterable[tuple[str, Iterable[str]]]) -> dict[str, list[str]]:
    """Say whom each stage waits for; a stage that needs several answers has one list."""
    said: dict[str, set[str]] = {}
    for stage, pool in pools:
        said.setdefault(stage, set()).update(pool)
    return {stage: sorted(people) for stage, people in said.items()}


@transaction.atomic
def reroute(request_id: UUID, *, by: Principal = SYSTEM, reason: str) -> bool:
    """Find the people of the waiting stages anew, after somebody left or changed their role; says whether it did.

    Whoever answered already is not asked again. Where nobody is left the stage waits for nobody, and the request ends
    when its time is over. A decided request is left alone.
    """
    request = requests.locked(request_id)
    if request.state != AccessRequest.State.IN_APPROVAL:
        return False
    changed = _resolve_again(request)
    if changed:
        requests.save(request)
        with requests.trace_of(request):
            log.record(
                Action.APPROVAL_REROUTED,
                about=requests.about(request),
                by=by,
                reason=reason,
                detail={"waiting_for": changed},
            )
    return bool(changed)


@transaction.atomic
def escalate(request_id: UUID) -> bool:
    """Ask the next in the chain of each waiting stage as well, once; says whether somebody was added.

    Whoever was asked before may still answer. A decided request is left alone, and so is a stage that was widened.
    """
    request = requests.locked(request_id)
    if request.state != AccessRequest.State.IN_APPROVAL:
        return False
    changed = _resolve_again(request, wider=True)
    if changed:
        requests.save(request)
        with requests.trace_of(request):
            log.record(
                Action.APPROVAL_ESCALATED,
                about=requests.about(request),
                by=SYSTEM,
                reason="Half the time to answer is over.",
                detail={"waiting_for": changed},
            )
    return bool(changed)


def escalate_due() -> int:
    """Escalate what waits in vain since half of its time, and return how many requests others were added to."""
    half = F("asked_at") + (F("answer_by") - F("asked_at")) / 2
    waiting = AccessRequest.objects.filter(state=AccessRequest.State.IN_APPROVAL).annotate(
        half=ExpressionWrapper(half, DateTimeField())
    )
    unasked = Approval.objects.filter(answer=Approval.Answer.WAITING).exclude(resolution__has_key="widened")
    due = waiting.filter(half__lte=clock.now(), pk__in=unasked.values("request")).order_by("answer_by")
    return sum(escalate(request_id) for request_id in due.values_list("pk", flat=True))


def _resolve_again(request: AccessRequest, *, wider: bool = False) -> dict[str, list[str]]:
    """Put the people of each waiting stage right, and return those of the stages that changed.

    Where distinct people cannot be found for all of them, each stage only loses those who may no longer answer. With
    `wider` every stage is also asked of the next of its chain; what was widened before stays so.
    """
    asked = request.approvals.order_by("position").prefetch_related("waiting_for")
    stages = list(asked.select_related("by", "in_place_of"))
    waiting = [stage for stage in stages if stage.answer == Approval.Answer.WAITING]
    answered = frozenset(who.login for stage in stages for who in (stage.by, stage.in_place_of) if who)
    around = replace(candidates.surroundings_of_request(request), answered=answered)
    found = request_rules.resolve([stage.stage for stage in waiting], around)
    if not isinstance(found, request_rules.Unresolved):
        places = [place for place, stage in enumerate(waiting) if wider or "widened" in stage.resolution]
        found = request_rules.widen(found, places, around)
    changed = []
    for place, stage in enumerate(waiting):
        before = sorted(person.login for person in stage.waiting_for.all())
        known = "widened" in stage.resolution
        if isinstance(found, request_rules.Unresolved):
            after = [who for who in before if request_rules.conflict(who, around) is None]
            stage.resolution |= {"widened": ""} if wider else {}
        else:
            after, passed = sorted(found[place].chosen), stage.resolution.get("passed_on")
            stage.resolution = found[place].as_evidence(clock.now())
            if passed:
                after = sorted(request_rules.passed_on(before, found[place], around))
                stage.resolution["passed_on"] = passed
        if after != before or (wider and not known):
            stage.save(update_fields=["resolution"])
        if after != before:
            stage.waiting_for.set(Person.objects.filter(login__in=after))
            changed.append((stage.stage, after))
    return _by_stage(changed)
