"""What an answer to a request depends on, read once after the locks: the facts to judge, and the rows to write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from entitlements.agents.models import Agent
from entitlements.catalog.models import Tool
from entitlements.conflicts import independence
from entitlements.errors import DomainError
from entitlements.grants.models import Grant
from entitlements.people.models import Group, Person
from entitlements.words import Risk
from governance.approval_policies import policies
from governance.approval_policies import rules as policy_rules
from governance.approvals.models import Approval
from governance.eligibility import eligibility, holdings, narrowing
from governance.eligibility.narrowing import Left, Narrowing
from governance.out_of_office import delegations
from governance.requests import facts as request_facts
from governance.requests import requests
from governance.requests.models import AccessRequest, RequestLine
from governance.setup import readiness
from governance.sod import check

from . import rules


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFacts:
    """The facts of an answer, with the rows of the stages and of the people whom they name."""

    request: AccessRequest
    judged: rules.AnswerFacts
    stages: Mapping[int, Approval]
    people: Mapping[str, Person]

    @classmethod
    def read(cls, request: AccessRequest, by: Person, *, expected_version: int | None) -> Self:
        """Read what decides whether a person may answer a request that the caller holds alone."""
        by.refresh_from_db(fields=["is_active"])
        places = list(delegations.delegators_of(by).order_by("login"))
        rows = request.approvals.order_by("position").select_related("by", "in_place_of")
        stages = {stage.pk: stage for stage in rows.prefetch_related("waiting_for")}
        asked = [person for stage in stages.values() for person in stage.waiting_for.all()]
        judged = rules.AnswerFacts(
            by=voice(by),
            is_active=by.is_active,
            places=tuple(map(voice, places)),
            people=request_facts.people_of(request),
            stages=tuple(map(_stage, stages.values())),
            closed=_refusal(lambda: requests.check_open(request, expected_version)),
        )
        people = {person.login: person for person in (*asked, *places, by)}
        return cls(request=request, judged=judged, stages=stages, people=people)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantFacts:
    """What the grant of a request would be, and why it cannot be issued now; `renewed` ends when it begins."""

    request: AccessRequest
    lines: Mapping[Tool, Mapping[str, Any]]
    people: tuple[Person, ...]
    groups: tuple[Group, ...]
    renewed: Grant | None
    beside: bool | str
    refusal: DomainError | None

    @classmethod
    def read(cls, request: AccessRequest, lines: Mapping[Tool, Mapping[str, Any]]) -> Self:
        """Read what the grant of these lines depends on, as it is now."""
        people, groups = tuple(request.people.all()), tuple(request.groups.all())
        renewed = Grant.objects.filter(pk=request.renews_id).first() if request.renews_id else None
        beside: bool | str = False

        def check_grant() -> None:
            nonlocal beside
            eligibility.check_in_force(request.agent, request.entitlement, people)
            eligibility.check_tools(lines)
            eligibility.check_two_people(request.agent, (tool.risk for tool in lines))
            place = holdings.GrantTarget(request.agent, request.entitlement, people, groups, request.renews_id)
            beside = holdings.distinction(place, lines)
            if renewed and renewed.state not in (Grant.State.ACTIVE, Grant.State.EXPIRED):
                raise rules.StoppedSince

        refusal = _refusal(check_grant)
        return cls(
            request=request,
            lines=lines,
            people=people,
            groups=groups,
            renewed=renewed if renewed and renewed.state == Grant.State.ACTIVE else None,
            beside=beside,
            refusal=refusal,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalFacts:
    """The facts of an approval: of the answer, of what is left of the request, and of the grant that it may become."""

    answer: AnswerFacts
    judged: rules.ApprovalFacts
    lines: Mapping[str, RequestLine]
    left: Left
    grant: GrantFacts

    @classmethod
    def read(cls, request: AccessRequest, by: Person, *, narrow: Narrowing, expected_version: int | None) -> Self:
        """Read what decides whether a person may approve a request that the caller holds alone, narrowed so."""
        lines = requests.kept_lines(request)
        current = {name: line.limits for name, line in lines.items()}
        left, refused = Left(current, request.lasts, {}), None
        try:
            left = narrowing.left(current, request.lasts, narrow)
        except DomainError as refusal:
            refused = refusal
        tools = {lines[name].tool: limits for name, limits in left.lines.items()}
        risk = policy_rules.highest(Risk(tool.risk) for tool in tools)
        refused = refused or _refusal(lambda: check.check(request.agent, tools))
        answer = AnswerFacts.read(request, by, expected_version=expected_version)
        grant = GrantFacts.read(request, tools)
        judged = rules.ApprovalFacts(
            answer=answer.judged,
            risk=risk,
            personal=request.agent.kind == Agent.Kind.PERSONAL,
            appeal=request.appeals_id is not None,
            policy=_policy(request),
            refused=refused or _refusal(lambda: readiness.check_allows(risk)),
            grant=grant.refusal,
        )
        return cls(answer=answer, judged=judged, lines=lines, left=left, grant=grant)


def voice(person: Person) -> rules.Voice:
    """Read a person with all their accounts."""
    return rules.Voice(person.login, tuple(account.login for account in independence.accounts_of(person)))


def _stage(row: Approval) -> rules.StageFacts:
    return rules.StageFacts(
        key=row.pk,
        stage=row.stage,
        answer=row.answer,
        waiting_for=frozenset(person.login for person in row.waiting_for.all()),
        answered_by=frozenset(person.login for person in (row.by, row.in_place_of) if person),
    )


def _policy(request: AccessRequest) -> policy_rules.Policy | DomainError:
    try:
        return policies.stages_of(request.policy) if request.policy else policies.Unusable()
    except policies.Unusable as refusal:
        return refusal


def _refusal(check_it: Callable[[], object]) -> DomainError | None:
    """Return what the rule of another room says against it now, for the judge to weigh; None when nothing."""
    try:
        check_it()
    except DomainError as refusal:
        return refusal
    return None
