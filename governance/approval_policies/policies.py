"""The verbs on approval policies: which stages a request needs by risk, in numbered versions that stay readable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.catalog.models import Entitlement
from entitlements.conflicts import independence
from entitlements.errors import DomainError, Forbidden
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import Group, Person
from entitlements.proposals.in_force import CONFIRMERS, LastingKind, State, may
from entitlements.words import Risk
from governance.approval_policies import rules
from governance.approval_policies.models import ApprovalPolicy, PolicyProposal
from governance.conflicts_of_interest.routing import GROUP

ANSWER_WITHIN: Final = timedelta(days=7)
SHORTEST, LONGEST = timedelta(hours=1), timedelta(days=30)
type Counted = Mapping[str, Sequence[Mapping[str, Any]]]
"""A policy as people write it: by risk, stages with how many people each needs."""


class Unusable(DomainError):
    """The approval policy cannot be used, so nothing can be asked under it; a platform admin has to publish another."""

    code, status = "approval_policy_unusable", HTTPStatus.CONFLICT


class TimeToAnswer(DomainError):
    """There is between an hour and 30 days to answer."""

    code, status = "answer_time_out_of_bounds", HTTPStatus.UNPROCESSABLE_ENTITY


class GroupUnknown(DomainError):
    """A stage names a group that there is not, or in which no person could answer."""

    code, status = "approval_group_unknown", HTTPStatus.UNPROCESSABLE_ENTITY


def current_for(entitlement: Entitlement) -> ApprovalPolicy:
    """Return the newest policy of an entitlement, or the newest default where it has none of its own."""
    own = ApprovalPolicy.objects.filter(entitlement=entitlement).order_by("-number").first()
    return own or ensure_default()


def ensure_default() -> ApprovalPolicy:
    """Return the newest default policy; the first one is made from the product's own rule when there is none."""
    newest = ApprovalPolicy.objects.filter(entitlement=None).order_by("-number").first()
    return newest or _make_default()


@transaction.atomic
def _make_default() -> ApprovalPolicy:
    locks.exclusive((Lock.REQUEST, "approval-policy:default"))
    newest = ApprovalPolicy.objects.filter(entitlement=None).order_by("-number").first()
    return newest or _create(None, rules.DEFAULT_POLICY, ANSWER_WITHIN, by=SYSTEM, reason="The product's own rule.")


def propose(
    entitlement: Entitlement | None,
    stages: rules.Policy,
    *,
    answer_within: timedelta = ANSWER_WITHIN,
    by: Person,
    reason: str,
) -> PolicyProposal:
    """Propose the next version for an entitlement, or the default for None; a second person confirms it.

    Raises TimeToAnswer, GroupUnknown, rules.PolicyTooWeak, rules.PolicyMalformed, and as LastingKind.propose.
    """
    may(by, reason, KIND.proposers)
    _check(stages, answer_within)
    row = PolicyProposal(entitlement=entitlement, stages=_written(stages), answer_within=answer_within)
    return KIND.propose(row, by=by, reason=reason)


def _check(stages: rules.Policy, answer_within: timedelta) -> None:
    if not SHORTEST <= answer_within <= LONGEST:
        raise TimeToAnswer
    rules.check_policy(stages)
    rules.check_grows(stages)
    for slug, count in _groups(stages).items():
        group = Group.objects.filter(slug=slug).first()
        if group is None or group.people.filter(is_active=True).count() < count:
            raise GroupUnknown(group=slug)


def _groups(stages: rules.Policy) -> Counter[str]:
    """Say of how many people of each group a policy wants an answer at most."""
    most: Counter[str] = Counter()
    for named in stages.values():
        most |= Counter(stage.removeprefix(GROUP) for stage in named if stage.startswith(GROUP))
    return most


def _publish(row: PolicyProposal, by: Person, reason: str) -> Mapping[str, Any]:
    """Make it the newest version, as it can be now. Raises as `propose`."""
    stages = {Risk(risk): tuple(named) for risk, named in row.stages.items()}
    _check(stages, row.answer_within)
    policy = publish(
        row.entitlement,
        stages,
        answer_within=row.answer_within,
        by=row.proposed_by,
        confirmed_by=by,
        reason=reason,
    )
    return {"policy": policy}


def _hold(entitlement: Entitlement | None) -> None:
    locks.exclusive((Lock.REQUEST, f"approval-policy:{entitlement.pk if entitlement else 'default'}"))


def about(proposal: PolicyProposal) -> list[str]:
    """Return the links by which the record of a proposal is found again."""
    entitlement = proposal.entitlement
    return [f"approval_policy_proposal:{proposal.pk}", *([f"entitlement:{entitlement.scope}"] if entitlement else [])]


KIND: Final = LastingKind(
    name="approval_policy",
    noun="approval policy",
    model=PolicyProposal,
    subject=("entitlement",),
    related=("entitlement",),
    events={State.PROPOSED: Action.APPROVAL_POLICY_PROPOSED, State.WITHDRAWN: Action.APPROVAL_POLICY_WITHDRAWN},
    hold=lambda row: _hold(row.entitlement),
    about=about,
    detail=lambda row: {
        "stages": row.stages,
        "answer_within_seconds": int(row.answer_within.total_seconds()),
    },
    result=_publish,
    proposers=CONFIRMERS,
    confirm_needs_reason=True,
    codes={"unchanged": ""},
)
"""Requests that were made keep the policy that they have."""


@transaction.atomic
def publish(
    entitlement: Entitlement | None,
    stages: rules.Policy,
    *,
    answer_within: timedelta = ANSWER_WITHIN,
    by: Person,
    confirmed_by: Person,
    reason: str,
) -> ApprovalPolicy:
    """Publish the next version for an entitlement, or the default for None. Requests already made keep theirs.

    Raises rules.PolicyTooWeak when it asks for less than the product does, rules.PolicyMalformed, Forbidden and
    KIND.proposed_by_own_account unless two people, each a platform admin or security approver, stand behind it.
    """
    rules.check_policy(stages)
    if independence.same_human(by, confirmed_by):
        raise KIND.proposed_by_own_account
    if not all(person.has_role(*CONFIRMERS) for person in (by, confirmed_by)):
        raise Forbidden
    _hold(entitlement)
    return _create(entitlement, stages, answer_within, by=by.principal, reason=reason, confirmed_by=confirmed_by)


def _create(
    entitlement: Entitlement | None,
    stages: rules.Policy,
    answer_within: timedelta,
    *,
    by: Principal,
    reason: str,
    confirmed_by: Person | None = None,
) -> ApprovalPolicy:
    last = ApprovalPolicy.objects.filter(entitlement=entitlement).order_by("-number").first()
    written = _written(stages)
    policy = ApprovalPolicy.objects.create(
        entitlement=entitlement,
        number=last.number + 1 if last else 1,
        stages=written,
        answer_within=answer_within,
        created_at=clock.now(),
        created_by=str(by),
    )
    about = [f"approval_policy:{policy.pk}", *([f"entitlement:{entitlement.scope}"] if entitlement else [])]
    log.record(
        Action.APPROVAL_POLICY_PUBLISHED,
        about=[*about, *([f"person:{confirmed_by.login}"] if confirmed_by else [])],
        by=confirmed_by.principal if confirmed_by else by,
        reason=reason,
        detail={
            "number": policy.number,
            "stages": written,
            "answer_within_seconds": int(answer_within.total_seconds()),
            "proposed_by": str(by),
            "confirmed_by": confirmed_by.login if confirmed_by else None,
        },
    )
    return policy


def stages_of(policy: ApprovalPolicy) -> rules.Policy:
    """Read the stages as the rules want them. Raises Unusable when they cannot be understood or ask for too little."""
    try:
        read: rules.Policy = {Risk(risk): tuple(named) for risk, named in policy.stages.items()}
        rules.check_policy(read)
    except (AttributeError, TypeError, ValueError, rules.PolicyTooWeak, rules.PolicyMalformed) as error:
        raise Unusable(policy=str(policy)) from error
    return read


def _written(stages: rules.Policy) -> dict[str, list[str]]:
    return {risk.value: [str(stage) for stage in stages[risk]] for risk in Risk}


def counted(stages: Mapping[str, Sequence[str]]) -> dict[str, list[dict[str, Any]]]:
    """Write stored stages as people do: by risk, each stage once with how many people it needs."""
    return {
        risk.value: [{"stage": stage, "people": count} for stage, count in Counter(stages.get(risk, ())).items()]
        for risk in Risk
    }


def read(given: Counted) -> rules.Policy:
    """Read what people wrote; what a stage may be and how many it may need is for `rules.check_policy` to say."""
    return {
        risk: tuple(each["stage"] for each in given.get(risk, ()) for _ in range(each.get("people", 1)))
        for risk in Risk
    }
