"""What the pages of requests read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from django.db.models import QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from audit import clock
from audit.actions import Action
from audit.models import Event
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement, Tool
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.words import Risk
from governance.approval_policies.rules import highest
from governance.approvals.models import Approval
from governance.conflicts_of_interest.routing import GROUP
from governance.conflicts_of_interest.rules import Reason
from governance.console.limits import limit_fields
from governance.people import queries as people_queries
from governance.requests import requests
from governance.requests.models import AccessRequest, RequestLine

_SHOWN_FOR: Final = timedelta(days=90)
MOST_CALLS: Final = 2000
_CALLS: Final = (Action.CALL_ALLOWED, Action.CALL_DENIED)
LENGTHS: Final = tuple(
    timedelta(**length) for length in ({"hours": 1}, {"hours": 8}, {"days": 1}, {"days": 7}, {"days": 30}, {"days": 90})
)
WHY: Final = {
    Reason.INACTIVE.value: _("%(who)s cannot approve it: the person has left"),
    Reason.REQUESTED_IT.value: _("%(who)s cannot approve it: the person made the request (self-approval)"),
    Reason.BENEFITS.value: _("%(who)s cannot approve it: the agent would act for the person"),
    Reason.OWNS_THE_AGENT.value: _("%(who)s cannot approve it: the person is the technical owner of the agent"),
    Reason.CAME_LATER.value: _("%(who)s cannot approve it: the person became responsible after the request was made"),
    Reason.ANSWERED_APPEALED.value: _("%(who)s cannot approve it: the person decided the request that is appealed"),
    Reason.ANSWERED_ALREADY.value: _("%(who)s cannot approve it: the person decided another stage"),
    Reason.NEEDED_ELSEWHERE.value: _("%(who)s does not approve this stage: the person is needed for another"),
}
_YOURS: Final = {
    Reason.REQUESTED_IT.value: _("You cannot approve this request because you made it."),
    Reason.BENEFITS.value: _("You cannot approve this request because the agent would act for you."),
    Reason.OWNS_THE_AGENT.value: _("You cannot approve this request because you are the technical owner of the agent."),
    Reason.CAME_LATER.value: _("You cannot approve this request because you became responsible after it was made."),
    Reason.ANSWERED_APPEALED.value: _("You cannot approve this appeal because you decided the request before."),
    Reason.ANSWERED_ALREADY.value: _("You cannot approve this stage because you decided another."),
}
STAGES: Final = {
    "sponsor": _("Sponsor: is it needed?"),
    "manager": _("Manager: is it needed?"),
    "system_owner": _("System owner: is it safe?"),
    "security": _("Security: is the risk acceptable?"),
    "rule": _("Auto-approval rule"),
}


def listed(caller: Caller, person: Person) -> QuerySet[AccessRequest]:
    """Return the requests that the person may see, with what a list shows."""
    rows = requests.visible_to(person, caller.reach(*requests.SEE_EVERYTHING)).select_related(
        "agent", "entitlement__system", "requested_by"
    )
    return rows.prefetch_related("approvals__waiting_for")


def visible(person: Person) -> QuerySet[AccessRequest]:
    """Return what the person may see, with everything its page shows."""
    return (
        requests.visible_to(person)
        .select_related("agent__sponsor", "agent__owner", "entitlement__system__owner", "requested_by")
        .prefetch_related("people", "groups", "lines__tool__approved")
        .prefetch_related("approvals__waiting_for", "approvals__by", "approvals__in_place_of")
    )


@dataclass(frozen=True, slots=True)
class Line:
    """A tool that is asked for, as the page shows it."""

    row: RequestLine
    tool: Tool
    fields: list[limit_fields.Field]
    others: int
    """How many other agents hold the tool now."""
    called: int = 0
    refused: int = 0
    """How often the agent called it lately, and was refused."""

    @property
    def tightened(self) -> bool:
        """Whether its limits are no longer those that were asked for."""
        return bool(self.row.limits != self.row.asked_limits)


def lines(request: AccessRequest) -> list[Line]:
    """Return the tools of a request, those that are left first, the riskiest before the others."""
    rank = {risk: place for place, risk in enumerate(("critical", "high", "medium", "low"))}
    rows = sorted(request.lines.all(), key=lambda row: (not row.kept, rank.get(row.tool.risk, 0), row.tool.name))
    held = _held_by_others(request, [row.tool_id for row in rows])
    return [
        Line(
            row,
            row.tool,
            limit_fields.fields(row.tool.name, pinned(row.tool), row.limits),
            len(held.get(row.tool_id, ())),
        )
        for row in rows
    ]


def _held_by_others(request: AccessRequest, tools: list[int]) -> dict[int, set[int]]:
    held: dict[int, set[int]] = {}
    others = Grant.objects.filter(ended_at=None, lines__tool__in=tools).exclude(agent=request.agent_id)
    for tool, agent in others.values_list("lines__tool", "agent"):
        held.setdefault(tool, set()).add(agent)
    return held


def with_past_calls(request: AccessRequest, lines: Sequence[Line]) -> list[Line]:
    """Return the lines with how often the agent called each tool lately, and was refused; its newest calls alone."""
    system = request.entitlement.system.slug
    links = [str(request.agent.principal), f"system:{system}"]
    calls = Event.objects.filter(at__gte=clock.now() - _SHOWN_FOR, links__contains=links, action__in=_CALLS)
    counts: dict[str, Counter[str]] = {action: Counter() for action in _CALLS}
    for action, touched in calls.order_by("-at").values_list("action", "links")[:MOST_CALLS]:
        counts[action].update(touched)
    allowed, denied = (counts[action] for action in _CALLS)
    named = [(line, f"tool:{system}/{line.tool.name}") for line in lines]
    return [replace(line, called=allowed[link], refused=denied[link]) for line, link in named]


def pinned(tool: Tool) -> dict[str, Any]:
    """Return the approved definition of a tool, empty without one."""
    return tool.approved.definition if tool.approved else {}


def lengths(longest: timedelta, current: timedelta | None = None) -> list[timedelta]:
    """Return the lengths of time to choose from: none longer than allowed, the current one always among them."""
    allowed = {length for length in LENGTHS if length <= longest} | ({current} if current else {longest})
    return sorted(allowed)


def stages(request: AccessRequest) -> list[dict[str, Any]]:
    """Return the stages in order: the question, who may answer, who was skipped and why, the answers.

    A stage that needs several answers says which of how many each is.
    """
    rows = sorted(request.approvals.all(), key=lambda stage: stage.position)
    skips = [skip for stage in rows for skip in stage.resolution.get("skipped", [])]
    named = dict(Person.objects.filter(login__in={skip["who"] for skip in skips}).values_list("login", "name"))
    alike = {name: [row.position for row in rows if row.stage == name] for name in {row.stage for row in rows}}
    return [
        {
            "approval": stage,
            "question": question(stage.stage),
            "place": alike[stage.stage].index(stage.position) + 1,
            "places": len(alike[stage.stage]),
            "skipped": [
                {"sentence": str(WHY.get(skip["why"], "%(who)s")) % {"who": named.get(skip["who"], skip["who"])}}
                for skip in stage.resolution.get("skipped", [])
            ],
        }
        for stage in rows
    ]


def conflict(request: AccessRequest, person: Person) -> str:
    """Say which conflict of interest keeps a person from approving; empty without one."""
    skips = (skip for stage in request.approvals.all() for skip in stage.resolution.get("skipped", []))
    why = next((skip["why"] for skip in skips if skip["who"] == person.login), "")
    if requests.is_requester(request, person):
        why = Reason.REQUESTED_IT.value
    return str(_YOURS.get(why, "")) if request.state == AccessRequest.State.IN_APPROVAL else ""


def after_approval(request: AccessRequest, kept: Sequence[str], person: Person) -> tuple[Risk, list[Any]]:
    """Return the risk level of these tools, and the stages that must still approve them after this person has."""
    lines = requests.kept_lines(request)
    level = highest(Risk(line.tool.risk) for name, line in lines.items() if name in kept)
    rows = sorted(request.approvals.all(), key=lambda stage: stage.position)
    waiting = [stage for stage in rows if stage.answer == Approval.Answer.WAITING]
    mine = requests.stages_for(person).filter(request=request).order_by("position").first()
    narrowed = copy(request)
    narrowed.risk = level
    needed = set(requests.stages_needed(narrowed))
    further = [stage for stage in waiting if (mine is None or stage.pk != mine.pk) and stage.stage in needed]
    return level, [question(stage.stage) for stage in further]


def question(stage: str) -> Any:  # noqa: ANN401 - a lazy translation
    """Return what a stage is asked; a named group by its name."""
    if stage.startswith(GROUP):
        return gettext("Group %(group)s: do you agree?") % {
            "group": people_queries.group_name(stage.removeprefix(GROUP))
        }
    return STAGES.get(stage, stage)


def waits_for(request: AccessRequest, person: Person) -> bool:
    """Whether the request waits for this person, or for a person whose delegate they are."""
    return requests.stages_for(person).filter(request=request).exists()


def requestable_agents(person: Person, caller: Caller) -> QuerySet[Agent]:
    """Return the agents that the person may ask for: an analyst for all, others for their own and any shared one."""
    active = Agent.objects.filter(status=Agent.Status.ACTIVE).select_related("sponsor", "owner")
    if caller.has("analyst"):
        return active.order_by("name")
    own = visibility.agents(caller).values("pk")
    held = Grant.objects.filter(subjects__person=person).values("agent")
    return active.filter(pk__in=own.union(held)).order_by("name")


def requestable_entitlements(caller: Caller, system: str = "") -> QuerySet[Entitlement]:
    """Return what can be asked for at the systems that the person sees."""
    rows = visibility.entitlements(caller).filter(enabled=True, system__status="active")
    return (rows.filter(system__slug=system) if system else rows).order_by("system__name", "name")
