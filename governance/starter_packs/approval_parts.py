"""Approval policies and auto-approval rules of a pack: what is there, and what they would route differently."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from audit import clock
from entitlements.catalog.models import Entitlement, EntitlementTool, System, Tool
from entitlements.people.models import Person, Role
from entitlements.words import Action, Risk
from governance.approval_policies import policies, rules
from governance.approval_policies.models import ApprovalPolicy, AutoApprovalRule, PolicyProposal
from governance.conflicts_of_interest.routing import GROUP, Stage
from governance.requests.models import AccessRequest, RequestLine

from .packs import ApprovalPart, AutoApprovalPart
from .planned import Act, Planned, Standing, differences

type Stages = Mapping[str, Sequence[str]]

LOOK_BACK: Final = timedelta(days=90)
"""How far back requests are counted that would have been routed differently."""
MOST_RULES: Final = 200
"""For how many entitlements a pack plans auto-approval rules at once."""
_OPEN: Final = (AutoApprovalRule.State.PROPOSED, AutoApprovalRule.State.IN_FORCE)


@dataclass(frozen=True, slots=True)
class RoutingOfRisk:
    """Who approves requests of one risk level: now, and under the policy of the pack; and for how many entitlements."""

    risk: Risk
    now: str
    pack: str
    entitlements: int
    differs: bool


@dataclass(frozen=True, slots=True)
class Routing:
    """What an approval policy would change: for entitlements by their highest risk, and for requests of 90 days."""

    by_risk: tuple[RoutingOfRisk, ...]
    requests: int
    security: tuple[Person, ...]

    @property
    def entitlements(self) -> int:
        """Count the entitlements of which a request for all their tools would be routed differently."""
        return sum(row.entitlements for row in self.by_risk if row.differs)


def plan(part: ApprovalPart) -> Planned:
    """Hold the policy against the default that is in force, or proposed."""
    stages, within = _in_force()
    waits = PolicyProposal.objects.filter(entitlement=None, state=PolicyProposal.State.PROPOSED).first()
    if waits is not None:
        same = _is_same(waits.stages, waits.answer_within, part)
        standing = Standing.PROPOSED if same else Standing.BLOCKED
        stages, within = waits.stages, waits.answer_within
    else:
        standing = Standing.IN_PLACE if _is_same(stages, within, part) else Standing.CHANGED
    return Planned(
        "approval-policy:default",
        _("Default approval policy"),
        part,
        standing,
        Act.PROPOSE_APPROVAL_POLICY,
        {"entitlement": None, "stages": part.stages, "answer_within": part.answer_within},
        existing=waits,
        differences=differences(_texts(stages, within), _texts(_written(part), part.answer_within)),
        missing=_missing(part),
    )


def preview(part: ApprovalPart) -> Routing:
    """Return what would be routed differently under the policy than under the default in force."""
    now, pack = _in_force()[0], _written(part)
    entitlements, asked = Counter(_highest_risks()), _asked()
    rows = [
        RoutingOfRisk(
            risk,
            _stages(now.get(risk, ())),
            _stages(pack[risk]),
            entitlements[risk],
            Counter(now.get(risk, ())) != Counter(pack[risk]),
        )
        for risk in Risk
    ]
    differently = sum(asked[row.risk] for row in rows if row.differs)
    return Routing(tuple(rows), differently, tuple(Person.objects.holding(Role.SECURITY).order_by("name")))


def _in_force() -> tuple[Stages, timedelta]:
    """Return the default as it is in force: the stored one, else the product's own."""
    newest = ApprovalPolicy.objects.filter(entitlement=None).order_by("-number").first()
    if newest is not None:
        return newest.stages, newest.answer_within
    return {
        risk.value: [str(s) for s in stages] for risk, stages in rules.DEFAULT_POLICY.items()
    }, policies.ANSWER_WITHIN


def _written(part: ApprovalPart) -> Stages:
    return {risk.value: [str(stage) for stage in part.stages[risk]] for risk in Risk}


def _is_same(stages: Stages, within: timedelta, part: ApprovalPart) -> bool:
    pack = _written(part)
    return within == part.answer_within and all(Counter(stages.get(r, ())) == Counter(pack[r]) for r in pack)


def _texts(stages: Stages, within: timedelta) -> dict[str, str]:
    days = ngettext("%(n)d day", "%(n)d days", within.days) % {"n": within.days}
    return {
        **{_("%(risk)s risk") % {"risk": risk.capitalize()}: _stages(stages.get(risk, ())) for risk in Risk},
        _("Time to decide"): days,
    }


def _stages(stages: Sequence[str]) -> str:
    """Return stages as text: each with its number of people where it needs several."""
    names = ((stage.removeprefix(GROUP).replace("_", " "), count) for stage, count in Counter(stages).items())
    several = _("%(stage)s (%(n)d people)")
    return ", ".join(name if count == 1 else several % {"stage": name, "n": count} for name, count in names)


def _missing(part: ApprovalPart) -> tuple[str, ...]:
    needed = max(Counter(stages)[Stage.SECURITY] for stages in part.stages.values())
    there = Person.objects.holding(Role.SECURITY).count()
    if there >= needed:
        return ()
    text = ngettext(
        "It needs %(n)d person with the admin role security; this installation has %(there)d.",
        "It needs %(n)d people with the admin role security; this installation has %(there)d.",
        needed,
    )
    return (text % {"n": needed, "there": there},)


def _by_default() -> QuerySet[Entitlement]:
    """Return the entitlements to which the default policy applies."""
    own = ApprovalPolicy.objects.exclude(entitlement=None).values("entitlement")
    return Entitlement.objects.filter(enabled=True).exclude(pk__in=own)


def _highest_risks() -> list[Risk]:
    """Return the highest risk of the approved tools of each entitlement under the default policy."""
    lines = EntitlementTool.objects.filter(entitlement__in=_by_default(), tool__state=Tool.State.APPROVED)
    risks: dict[int, list[Risk]] = defaultdict(list)
    for entitlement, risk in lines.values_list("entitlement", "tool__risk"):
        risks[entitlement].append(Risk(risk))
    return [rules.highest(each) for each in risks.values()]


def _asked() -> Counter[Risk]:
    """Count the requests of the last 90 days under the default policy, by risk."""
    recent = AccessRequest.objects.filter(asked_at__gt=clock.now() - LOOK_BACK, entitlement__in=_by_default())
    return Counter(Risk(risk) for risk in recent.values_list("risk", flat=True))


# ---------------------------------------------------------------------------------------------- auto-approval rules


def plan_rules(part: AutoApprovalPart) -> Iterator[Planned]:
    """Plan a rule for each entitlement with an approved low-risk tool that only reads, the first 200 of them."""
    known = defaultdict(list)
    for rule in AutoApprovalRule.objects.filter(state__in=_OPEN, expires_at__gt=clock.now(), group=None):
        known[rule.entitlement_id].append(rule)
    for entitlement in eligible_entitlements()[:MOST_RULES]:
        longest = min(part.longest, entitlement.longest)
        there = known[entitlement.pk]
        same = [rule for rule in there if rule.longest == longest and set(rule.kinds) == set(part.agent_types)]
        existing = next(iter(same or there), None)
        standing = _standing_of(same, there)
        values = {"longest": longest, "kinds": list(part.agent_types)}
        yield Planned(
            f"auto-approval-rule:{entitlement.scope}",
            _("Auto-approval rule for %(name)s") % {"name": entitlement.name},
            part,
            standing,
            Act.PROPOSE_RULE,
            {"entitlement": entitlement, **values, "expires_at": clock.now() + part.ends_after},
            existing=existing,
            differences=differences(_bounds(existing.longest, existing.kinds), _bounds(longest, part.agent_types))
            if existing
            else (),
        )


def _standing_of(same: Sequence[AutoApprovalRule], there: Sequence[AutoApprovalRule]) -> Standing:
    if same:
        in_force = any(rule.state == AutoApprovalRule.State.IN_FORCE for rule in same)
        return Standing.IN_PLACE if in_force else Standing.PROPOSED
    return Standing.CHANGED if there else Standing.NEW


def eligible_entitlements() -> QuerySet[Entitlement]:
    """Return the entitlements of which a rule could approve a tool: low risk, reading only, approved."""
    lines = EntitlementTool.objects.filter(
        tool__state=Tool.State.APPROVED, tool__risk=Risk.LOW, tool__action=Action.READ
    )
    rows = Entitlement.objects.filter(enabled=True, system__status=System.Status.ACTIVE, lines__in=lines)
    return rows.distinct().order_by("scope")


def rule_missing() -> str:
    """Say for which part of the installation no rule can be planned; empty where there is nothing to say."""
    count = eligible_entitlements().count()
    if count == 0:
        return _("No entitlement has an approved low-risk tool that only reads, so no auto-approval rule is proposed.")
    if count > MOST_RULES:
        text = _("Rules are listed for the first %(n)d of %(count)d entitlements. Propose others on Approval policies.")
        return text % {"n": MOST_RULES, "count": count}
    return ""


def matching_requests(planned: Planned) -> int:
    """Count the requests of the last 90 days that the rule would at most have approved without a person."""
    harm = RequestLine.objects.filter(kept=True).exclude(tool__risk=Risk.LOW, tool__action=Action.READ)
    values = planned.values
    rows = AccessRequest.objects.filter(
        asked_at__gt=clock.now() - LOOK_BACK,
        entitlement=values["entitlement"],
        risk=Risk.LOW,
        lasts__lte=values["longest"],
        agent__kind__in=values["kinds"],
        renews=None,
        appeals=None,
    )
    return rows.exclude(lines__in=harm).count()


def _bounds(longest: timedelta, agent_types: Sequence[str]) -> dict[str, str]:
    days = ngettext("%(n)d day", "%(n)d days", longest.days) % {"n": longest.days}
    return {_("Longest access"): days, _("Agent types"): ", ".join(sorted(agent_types))}
