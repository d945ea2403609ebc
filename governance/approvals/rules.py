"""Pure: whether a person may answer a request now, in which stage and in whose place, and what becomes of the request.

The facts are read once, after the locks (`facts.py`). A judge returns a verdict, or the refusal with its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from entitlements.errors import DomainError
from entitlements.words import Risk
from governance.approval_policies import rules as policy_rules
from governance.approval_policies.rules import Policy
from governance.conflicts_of_interest import routing, rules
from governance.conflicts_of_interest.routing import People
from governance.conflicts_of_interest.rules import Reason

WAITING: Final = "waiting"
VOID: Final = "void"


class SelfApproval(DomainError):
    """You cannot answer this request because you made it; another person answers it."""

    code, status = "self_approval", HTTPStatus.FORBIDDEN


class OwnerMayNotApprove(DomainError):
    """You cannot answer this request because you are the technical owner of the agent; another person answers it."""

    code, status = "owner_may_not_approve", HTTPStatus.FORBIDDEN


class BeneficiaryMayNotApprove(DomainError):
    """You cannot answer this request because the agent would act for you; another person answers it."""

    code, status = "beneficiary_may_not_approve", HTTPStatus.FORBIDDEN


class CameLater(DomainError):
    """You came to answer for the agent or the system after this request; others answer it, or it is made again."""

    code, status = "came_after_the_ask", HTTPStatus.FORBIDDEN


class AnsweredBefore(DomainError):
    """You answered the request that this one appeals; another person answers the appeal."""

    code, status = "answered_what_is_appealed", HTTPStatus.FORBIDDEN


class NotAnApprover(DomainError):
    """The request does not wait for you."""

    code, status = "not_an_approver", HTTPStatus.FORBIDDEN


class AlreadyAnswered(DomainError):
    """You, or another person in the same place, answered this request already."""

    code, status = "already_answered", HTTPStatus.CONFLICT


class RiskierThanAsked(DomainError):
    """A tool is riskier now than when it was requested, and more people must answer: leave it out, or request again."""

    code, status = "riskier_than_asked", HTTPStatus.CONFLICT


class StoppedSince(DomainError):
    """The access that this would renew was stopped since: deny it, and let it be requested anew."""

    code, status = "renewed_access_stopped", HTTPStatus.CONFLICT


_CONFLICTS: Final[Mapping[Reason | None, type[DomainError]]] = {
    Reason.REQUESTED_IT: SelfApproval,
    Reason.OWNS_THE_AGENT: OwnerMayNotApprove,
    Reason.BENEFITS: BeneficiaryMayNotApprove,
    Reason.CAME_LATER: CameLater,
    Reason.ANSWERED_APPEALED: AnsweredBefore,
}


@dataclass(frozen=True, slots=True)
class Voice:
    """A person who answers, or in whose place another does: by login, with the logins of all their accounts."""

    login: str
    accounts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StageFacts:
    """One answer that a request needs: its key, whom it waits for, and who gave it, in whose place."""

    key: int
    stage: str
    answer: str
    waiting_for: frozenset[str]
    answered_by: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFacts:
    """What decides whether a person may answer a request now.

    `places` left their place to them. `stages` are in order. `closed` says why the request takes no answer any more.
    """

    by: Voice
    is_active: bool
    places: tuple[Voice, ...]
    people: People
    stages: tuple[StageFacts, ...]
    closed: DomainError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalFacts:
    """What decides whether a request may be approved, as it is after narrowing.

    `refused` is why it may not be narrowed so, what SoD policies say of the tools, or what the set-up lacks; `policy`
    is why its policy cannot be used. `grant` is why the grant could not be issued now, which only the last stage asks.
    """

    answer: AnswerFacts
    risk: Risk
    personal: bool
    appeal: bool
    policy: Policy | DomainError
    refused: DomainError | None = None
    grant: DomainError | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A person may answer this stage; `in_place_of` is whose place they take."""

    stage: StageFacts
    by: str
    in_place_of: str | None

    @property
    def people(self) -> tuple[str, ...]:
        """Who answers no other stage of the request; the last is the one whom the stage waits for."""
        return (self.by, self.in_place_of) if self.in_place_of else (self.by,)


@dataclass(frozen=True, slots=True)
class Approval:
    """A request is approved in one stage: which stages it does without now, and whom the others still wait for."""

    answer: Answer
    unneeded: tuple[StageFacts, ...]
    waiting: tuple[tuple[StageFacts, frozenset[str]], ...]

    @property
    def is_last(self) -> bool:
        """Whether nothing waits any more, so that the grant is issued."""
        return not self.waiting


def conflict(voice: Voice, people: People) -> DomainError | None:
    """Return the refusal of a person who has a conflict of interest, through any of their accounts."""
    refusal = _CONFLICTS.get(rules.conflict(voice.accounts, people))
    return refusal() if refusal else None


def judge_answer(facts: AnswerFacts) -> Answer | DomainError:
    """Say which stage a person answers now, and in whose place: the first that waits for them.

    To be asked is not enough: people move, and a conflict of interest refuses (promise 6), as does an office that they
    have left. In another's place, a conflict of either refuses.
    """
    holder = next((voice for voice in (facts.by, *facts.places) if _stages_of(voice, facts)), facts.by)
    stages = _stages_of(holder, facts)
    for voice in (facts.by, holder):
        if refusal := conflict(voice, facts.people):
            return refusal
    if not stages or not facts.is_active or not facts.people.holds_office(holder.login):
        return NotAnApprover()
    if facts.closed:
        return facts.closed
    waiting = [stage for stage in stages if stage.answer == WAITING]
    accounts = {*facts.by.accounts, *holder.accounts}
    if not waiting or any(stage.answered_by & accounts for stage in facts.stages):
        return AlreadyAnswered()
    return Answer(waiting[0], facts.by.login, holder.login if holder != facts.by else None)


def _stages_of(voice: Voice, facts: AnswerFacts) -> list[StageFacts]:
    return [stage for stage in facts.stages if voice.login in stage.waiting_for]


def judge_approval(facts: ApprovalFacts) -> Approval | DomainError:
    """Say what becomes of a request that a person approves, or why they may not. The last approval needs the grant."""
    answer = judge_answer(facts.answer)
    if isinstance(answer, DomainError):
        return answer
    if facts.refused:
        return facts.refused
    if isinstance(facts.policy, DomainError):
        return facts.policy
    needed = policy_rules.stages_for(facts.policy, facts.risk, personal=facts.personal, appeal=facts.appeal)
    present = [stage.stage for stage in facts.answer.stages if stage.answer != VOID]
    if not Counter(needed) <= Counter(present):
        return RiskierThanAsked(risk=facts.risk.value)
    others = [stage for stage in facts.answer.stages if stage.answer == WAITING and stage != answer.stage]
    unneeded = _unneeded(others, policy_rules.no_longer_needed(needed, present))
    left = [stage for stage in others if stage not in unneeded]
    pools = {stage.key: stage.waiting_for.difference(answer.people) for stage in left}
    if (spared := routing.completable(pools)) is None:
        spared = pools  # a person left since: the stage goes on waiting, and `reroute` asks others
    approval = Approval(answer, unneeded, tuple((stage, spared[stage.key]) for stage in left))
    return facts.grant if approval.is_last and facts.grant else approval


def _unneeded(waiting: list[StageFacts], counts: Counter[str]) -> tuple[StageFacts, ...]:
    """Pick so many of the stages that wait, the last of each first."""
    of_stage = {stage: [each for each in reversed(waiting) if each.stage == stage] for stage in counts}
    return tuple(each for stage, count in counts.items() for each in of_stage[stage][:count])
