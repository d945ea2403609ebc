"""The evidence beside one review item: its tools, replays of removals, changes, requests and calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from django.db.models import prefetch_related_objects
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit import clock
from audit.models import Event
from entitlements.definitions import differences
from entitlements.grants.models import Grant, GrantLine
from entitlements.people.models import Person
from governance.console.kit import diff
from governance.console.limits import limit_fields
from governance.console.tags import within
from governance.requests.models import AccessRequest
from governance.requests.queries import pinned
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.items import outcome
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.reviewers.models import Assignment
from governance.reviews.suggestions import changes_since
from governance.reviews.usage import replay, right_sizing, tighter_limits, usage
from governance.reviews.usage.tighter_limits import Tightening
from governance.reviews.workbench.queries import rows as item_rows
from governance.sod import queries as sod_queries

_CALLS: Final = 10
_BEFORE: Final = 5
_FACTS: Final = {
    "sponsor": gettext_lazy("Sponsor"),
    "owner": gettext_lazy("Technical owner"),
    "people": gettext_lazy("Acts for"),
    "model": gettext_lazy("Model"),
    "prompt": gettext_lazy("Prompt (hash)"),
    "metadata": gettext_lazy("Client metadata (hash)"),
}


@dataclass(frozen=True, slots=True)
class Flow:
    """One of the three flows of the lethal trifecta, and the tools of the agent that have it.

    `here` are tools of the item, `elsewhere` others of the agent, `unsure` those without a label.
    """

    label: Any
    here: list[str]
    elsewhere: list[str]
    unsure: list[str]


@dataclass(frozen=True, slots=True)
class Detail:
    """All evidence beside one item."""

    row: item_rows.Row
    whole: replay.Replay | None
    suggested: replay.Replay | None
    drafted: replay.Replay | None
    since: changes_since.Changes | None
    changes: list[diff.Change]
    flows: list[Flow]
    asked: list[AccessRequest]
    before: list[ReviewDecision]
    calls: list[Event]
    grants: list[UUID]

    @property
    def is_complete_flow(self) -> bool:
        """Whether the agent holds all three flows together."""
        return bool(self.flows) and all(box.here or box.elsewhere or box.unsure for box in self.flows)


def read_detail(item: ReviewItem, person: Person, *, whole: bool = False) -> Detail:
    """Read it in a fixed number of statements; `item` comes from `campaigns.to_answer` or `with_details`."""
    (row,) = item_rows.rows([item], person, whole=whole)
    lines = [line["row"] for line in row.lines] if row.is_access else []
    grants = sorted({line.grant_id for line in lines if line.grant_id})
    _note_ranges(row, grants)
    since = changes_since.compare(item) if row.is_access else None
    kept = row.advice.kept if row.advice and row.advice.kept else None
    return Detail(
        row=row,
        whole=replay.of_lines(lines, ()) if grants else None,
        suggested=replay.of_lines(lines, kept) if grants and kept else None,
        drafted=replay.of_draft(row.draft, lines) if grants and row.draft and row.draft.verb == "reduce" else None,
        since=since,
        changes=_changes(since) if since else [],
        flows=_flows(item, lines),
        asked=_requests_behind(grants),
        before=_earlier_decisions(item),
        calls=_calls(grants),
        grants=grants,
    )


def read_blind_detail(item: ReviewItem, person: Person) -> Detail:
    """Read what the reviewer of a spot check sees: the item as it was frozen, and nothing that reveals the answer.

    It leaves out the flows as they are now and calls since then: calls denied by a removal would reveal it.
    """
    row = item_rows.with_details(ReviewItem.objects.filter(pk=item.pk), person).get()
    row.past_decisions = []  # type: ignore[attr-defined]
    row.current_decision = None
    seen = read_detail(row, person, whole=True)
    frozen = item.campaign.snapshot_at
    return replace(seen, flows=[], calls=[call for call in seen.calls if frozen is not None and call.at <= frozen])


def _note_ranges(row: item_rows.Row, grants: Sequence[UUID]) -> None:
    """Add to each line its usage up to now, and the range of each argument that a limit bounds."""
    if not any(line["row"].limits for line in row.lines):
        return
    uses = usage.of_lines(grants, clock.now())
    for line in row.lines:
        use = uses.get((line["row"].grant_id, line["row"].tool_id))
        line["use"], line["ranges"] = use, use.ranges if use else None


def _changes(since: changes_since.Changes) -> list[diff.Change]:
    """Describe the differences side by side: tools added, removed or changed, and facts about the agent."""
    changes = [_line("+", line) for line in since.added] + [_line("-", line) for line in since.removed]
    changes += [_line("~", line) for line in since.changed]
    facts = tuple(diff.row(str(_FACTS[name]), before or None, now or None) for name, before, now in since.facts)
    if facts:
        changes.append(diff.Change("~", _("Agent"), (), facts))
    return changes


def _line(sign: str, line: changes_since.ToolChange) -> diff.Change:
    """Compare one tool side by side: its limits where they differ, and its definition where the server changed it."""
    sides = ["; ".join(limits(each)) for each in (line.limits_before, line.limits_now)]
    about = _("Limits")
    if sign != "~":
        only = (None, sides[1]) if sign == "+" else (sides[0], None)
        return diff.Change(sign, line.tool, (), (diff.row(about, *only),))
    sentences: tuple[str, ...] = ()
    rows: tuple[diff.Row, ...] = ()
    same = 0
    if line.is_redefined:
        before, now = line.before or {}, line.now or {}
        sentences = tuple(differences.difference(before or None, now or None))
        rows, same = diff.definitions(before, now)
    if line.has_new_limits:
        rows = (diff.row(about, *sides), *rows)
    return diff.Change(sign, line.tool, sentences, rows, same)


def limits(written: Mapping[str, Any]) -> list[str]:
    """Return limits as sentences; one sentence where there are none."""
    return within(written) if written else [_("any arguments")]


def _flows(item: ReviewItem, lines: Sequence[ReviewLine]) -> list[Flow]:
    """Return the three flows over all that the agent holds now; empty where no tool surely has one."""
    if item.agent_id is None:
        return []
    live = Grant.objects.filter(agent=item.agent_id, ended_at=None)
    held = GrantLine.objects.filter(grant__in=live).select_related("tool__system").order_by("tool__name")
    tools = {line.tool_id: line.tool for line in held}
    mine = {line.tool_id for line in lines}
    boxes = []
    for name, label in sod_queries.LABELS.items():
        has = [tool for tool in tools.values() if getattr(tool, name)]
        unsure = [tool.name for tool in tools.values() if getattr(tool, name) is None and tool.risk in _RISKY]
        elsewhere = [f"{tool.name} ({tool.system.name})" for tool in has if tool.pk not in mine]
        boxes.append(Flow(label, [tool.name for tool in has if tool.pk in mine], elsewhere, unsure))
    return boxes if any(box.here or box.elsewhere for box in boxes) else []


_RISKY: Final = frozenset({"high", "critical"})


def _requests_behind(grants: Sequence[UUID]) -> list[AccessRequest]:
    """Return the requests behind some grants, each with its approvals."""
    rows = Grant.objects.filter(pk__in=grants, request_id__isnull=False).values("request_id")
    requests = AccessRequest.objects.filter(pk__in=rows).select_related("requested_by")
    return list(requests.prefetch_related("approvals__by", "approvals__rule").order_by("asked_at"))


def _earlier_decisions(item: ReviewItem) -> list[ReviewDecision]:
    decisions = outcome.standing().filter(item__in=changes_since.earlier(item))
    return list(decisions.select_related("item__campaign", "decided_by").order_by("-decided_at")[:_BEFORE])


def _calls(grants: Sequence[UUID]) -> list[Event]:
    """Return the last calls under some grants, allowed and denied."""
    events: list[Event] = []
    for grant in grants:
        about = Event.objects.filter(links__contains=[f"grant:{grant}"], action__in=["call.allowed", "call.denied"])
        events += about.order_by("-at", "-producer", "-sequence")[:_CALLS]
    return sorted(events, key=lambda event: event.at, reverse=True)[:_CALLS]


@dataclass(frozen=True, slots=True)
class Narrowing:
    """One line of the form that keeps some: its tick, its limit fields, and the limits that could be lower."""

    line: dict[str, Any]
    limits: Mapping[str, Any]
    fields: list[limit_fields.Field]
    opened: bool
    lower: Sequence[Tightening] = ()


def narrowing(row: item_rows.Row, draft: Draft | None) -> list[Narrowing]:
    """Return the form that keeps some: each line with the limits that its tool's arguments can have."""
    held = draft.limits if draft else {}
    prefetch_related_objects([line["row"].tool for line in row.lines], "approved")
    form_lines = []
    for line in row.lines:
        tool, pk = line["row"].tool, str(line["row"].pk)
        now = held.get(pk, line["row"].limits)
        fields = limit_fields.fields(f"{pk}", pinned(tool), now)
        use = line.get("use")
        lower = right_sizing.tightenings(tool.name, now, use) if use else ()
        form_lines.append(Narrowing(line, now, fields, pk in held, lower))
    return form_lines


def lowered(form: Sequence[Narrowing]) -> replay.Replay | None:
    """Replay the calls with every tool kept and the lower limits that the form offers; None without any."""
    rows = [form_line.line["row"] for form_line in form]
    limits = {
        form_line.line["row"].pk: tighter_limits.tightened(
            form_line.limits, {tightening.argument: tightening.proposed for tightening in form_line.lower}
        )
        for form_line in form
        if form_line.lower
    }
    return replay.of_lines(rows, [row.pk for row in rows], limits) if limits else None


def own_assignment(item: ReviewItem, person: Person) -> Assignment | None:
    """Return the open assignment by which a person answers an item now."""
    return item_rows.open_assignments(item.campaign, person).filter(item=item).select_related("reviewer").first()
