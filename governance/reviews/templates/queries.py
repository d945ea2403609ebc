"""The form of a new review: its fields as a scope and options, and both as sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any, Final

from django.http import QueryDict
from django.utils.dateparse import parse_date
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from entitlements.errors import Malformed
from entitlements.words import Risk
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import deadlines
from governance.reviews.items import review_rules
from governance.reviews.items.errors import BadCadence, DueTooSoon
from governance.reviews.population import scope_words
from governance.reviews.population.campaigns import CampaignOptions
from governance.reviews.staging import launch
from governance.reviews.templates.models import CampaignTemplate
from governance.reviews.templates.templates import MONTHS, Recurrence, following

KINDS: Final[Mapping[str, tuple[Any, Any]]] = {
    "agent_owner": (
        gettext_lazy("Agents, by sponsor"),
        gettext_lazy("Each agent's sponsor decides; else the owner of the system, then the sponsor's manager."),
    ),
    "resource_owner": (
        gettext_lazy("Systems, by owner"),
        gettext_lazy("The owner of each system decides; else the agent's sponsor."),
    ),
    "privileged_tools": (
        gettext_lazy("Privileged access"),
        gettext_lazy("Access with a tool of high or critical risk. The owner of the system decides first."),
    ),
    "findings": (
        gettext_lazy("Access with open findings"),
        gettext_lazy("A changed tool, an orphaned or dormant agent, or an SoD violation."),
    ),
    "delegation": (
        gettext_lazy("Delegations"),
        gettext_lazy("Each person decides about the agents that act on their behalf, then the agent's sponsor."),
    ),
    "ownership": (
        gettext_lazy("Agents and their ownership"),
        gettext_lazy("Each sponsor attests: still mine, purpose still true. Revoking an agent retires it."),
    ),
    "credential": (
        gettext_lazy("Secrets, keys and tokens"),
        gettext_lazy("The holder of a credential decides first, then the agent's sponsor, or the manager."),
    ),
    "entitlement_definition": (
        gettext_lazy("Entitlement definitions"),
        gettext_lazy("The owner of each system removes the tools that an entitlement should no longer contain."),
    ),
    "console_access": (
        gettext_lazy("Admin roles and tokens in Mandate"),
        gettext_lazy("The manager decides, else another platform admin or security. Leave the scope empty."),
    ),
}
STARTERS: Final[Sequence[tuple[Any, Any, Mapping[str, str]]]] = (
    (
        gettext_lazy("Unused access"),
        gettext_lazy("Access that was not called in 90 days. The agent's sponsor decides."),
        {"kind": "agent_owner", "unused": "yes"},
    ),
    *((title, words, {"kind": kind}) for kind, (title, words) in KINDS.items()),
)
"""What a review can start from besides saved templates: a title, a sentence, and the fields that it fills in."""
STRATEGIES: Final[Mapping[str, Any]] = {
    review_rules.Strategy.FIRST_DECIDES: gettext_lazy("One reviewer decides"),
    review_rules.Strategy.ANY_DENY_DENIES: gettext_lazy(
        "Two reviewers; either may revoke, otherwise the stricter decision counts"
    ),
    review_rules.Strategy.ALL_MUST_KEEP: gettext_lazy(
        "Two reviewers; both must keep all of it, and no decision suspends it"
    ),
}
"""The strategies that a risk level can have, as phrases."""
SCOPE_FIELDS: Final = (
    *("kind", "system", "agent", "department", "risk", "action", "older", "unused", "left_out", "left_out_reason"),
)
"""The fields of the scope; all others are about reviewers and dates."""
REFERENCES: Final[Mapping[str, str]] = {
    "system": "system",
    "agent": "agent",
    "left_out": "agent",
    "fallback_group": "group",
}
"""The fields that name things, and what they name."""
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Form:
    """The form as it is filled in so far. `echo` is its scope as a sentence."""

    name: str
    slug: str
    due: str
    scope: dict[str, Any]
    options: CampaignOptions
    echo: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def due_at(self) -> datetime:
        """The end of the day named. Raises DueTooSoon."""
        try:
            day = parse_date(self.due)
        except ValueError:
            day = None
        if day is None:
            raise DueTooSoon
        return datetime.combine(day, time.max, UTC)


def read(sent: QueryDict, scope: dict[str, Any] | None = None) -> Form:
    """Read the form; `scope` replaces that of the form, where it has no words for it.

    Raises Malformed for a bad number; the actions check names and fields.
    """
    name = sent.get("name", "").strip()[:_LONGEST]
    scope = scope_of(sent) if scope is None else scope
    delta = sent.get("mode") == Campaign.Mode.DELTA
    options = CampaignOptions(
        kind=sent.get("kind", Campaign.Kind.AGENT_OWNER),
        mode=Campaign.Mode.DELTA if delta else Campaign.Mode.FULL,
        framework=sent.get("framework", Campaign.Framework.NONE),
        carry_days=(number(sent, "carry_days") or 0) if delta else 0,
        strategies={str(risk): strategy for risk in Risk if (strategy := sent.get(f"who_{risk}"))},
        fallback_group=sent.get("fallback_group", "").strip(),
        asks_owner="asks_owner" in sent,
    )
    return Form(
        name, slugify(name)[:64], sent.get("due", ""), scope, options, scope_words.sentence(scope, options.kind), sent
    )


def scope_of(sent: QueryDict) -> dict[str, Any]:
    """Return the scope that the form names. Raises Malformed for a bad number."""
    conditions = _conditions(sent)
    scope: dict[str, Any] = {part: sent.getlist(name) for part, name in NAMED.items() if name in sent}
    if conditions:
        scope["where"] = conditions[0] if len(conditions) == 1 else {"and": conditions}
    if left_out := sent.get("left_out", "").replace(",", " ").split():
        why = sent.get("left_out_reason", "").strip()[:_LONGEST]
        scope["exclude"] = [{"where": {"field": "agent.slug", "op": "in", "value": left_out}, "reason": why}]
    return scope


NAMED: Final = {"systems": "system", "agents": "agent", "departments": "department"}
"""The parts of a scope that name things, and the field that has them."""


def choices(chosen: Mapping[str, str]) -> list[tuple[Risk, str, list[tuple[str, Any]]]]:
    """Return for each risk level its strategy and the possible ones: from high risk on never one person."""
    now = review_rules.strategies(chosen) if review_rules.may_choose(chosen) else review_rules.strategies({})
    return [
        (
            risk,
            now[risk],
            [(name, words) for name, words in STRATEGIES.items() if review_rules.may_choose({risk: name})],
        )
        for risk in Risk
    ]


def strategy_rows(campaign: Campaign) -> list[tuple[str, Any, Any]]:
    """Return for each risk level, the highest first, its strategy and what the deadline does without an answer."""
    chosen = reversed(review_rules.strategies(campaign.strategies).items())
    return [(risk, STRATEGIES[name], _silence(campaign, Risk(risk))) for risk, name in chosen]


def _silence(campaign: Campaign, risk: Risk) -> str:
    if campaign.kind in _KEPT_KINDS or review_rules.is_kept_by_silence(risk, campaign.strategies):
        return _("Kept, and counted as not reviewed.")
    if campaign.is_rehearsal or (
        campaign.state in Campaign.BEFORE and campaign.kind != Campaign.Kind.MICRO and launch.is_rehearsal()
    ):
        return _("It would be suspended. This is a rehearsal, so nothing is.")
    days = deadlines.UNTIL_REVOKED.days
    return _("Suspended, and revoked %(n)d days later unless a second person restores it.") % {"n": days}


_KEPT_KINDS: Final = (Campaign.Kind.ENTITLEMENT_DEFINITION, Campaign.Kind.CONSOLE_ACCESS)
"""The kinds whose deadline suspends nothing, whatever the risk level (`deadlines`)."""


def recurrence(sent: QueryDict, now: datetime) -> Recurrence:
    """Read the recurrence of a template from today on; its reviewers have the days until the given due date."""
    cadence = sent.get("cadence", "none")
    if cadence not in {"none", *MONTHS}:
        raise BadCadence
    days = (Form("", "", sent.get("due", ""), {}, CampaignOptions()).due_at - now).days
    first_on = None if cadence == "none" else following(cadence, now.date())
    return Recurrence(cadence, first_on, max(1, days), number(sent, "spot_share") or 0)


def form_values(template: CampaignTemplate) -> dict[str, Any] | None:
    """Return the form values of a template; None where its scope has conditions that the form cannot show."""
    scope, fields = template.scope, QueryDict(mutable=True)
    named = {("tool.risk", "gte"): "risk", ("grant.age_days", "gte"): "older", ("tool.action", "has"): "action"}
    where = scope.get("where") or {}
    for each in where.get("and", [where] if where else []):
        criterion = (each.get("field"), each.get("op"))
        fields[named.get(criterion, "unused")] = str(each.get("value")) if criterion in named else "yes"
    for part, name in NAMED.items():
        if part in scope:
            fields.setlist(name, scope[part])
    for exclusion in scope.get("exclude", []):
        value = exclusion["where"].get("value")
        fields["left_out"] = ", ".join(value) if isinstance(value, list) else ""
        fields["left_out_reason"] = exclusion["reason"]
    try:
        is_same = read(fields).scope == scope
    except Malformed:
        is_same = False
    lists = {name: fields.getlist(name) for name in NAMED.values() if name in fields}
    return {**fields.dict(), **lists} if is_same else None


def _conditions(sent: QueryDict) -> list[dict[str, Any]]:
    conditions: list[dict[str, Any]] = []
    if risk := sent.get("risk", ""):
        conditions.append({"field": "tool.risk", "op": "gte", "value": risk})
    if (older := number(sent, "older")) is not None:
        conditions.append({"field": "grant.age_days", "op": "gte", "value": older})
    if action := sent.get("action", ""):
        conditions.append({"field": "tool.action", "op": "has", "value": action})
    if sent.get("unused"):
        conditions.append({"field": "grant.calls_90d", "op": "eq", "value": 0})
    return conditions


def number(sent: QueryDict, name: str) -> int | None:
    """Read a whole number, or nothing. Raises Malformed."""
    text = sent.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 7):  # noqa: PLR2004 - no number of days is longer
        raise Malformed(_("Enter days as a whole number."))
    return int(text)
