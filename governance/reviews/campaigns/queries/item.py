"""What stands beside one item of a review: its tools, what a cut would have done, why, what changed, who wanted it."""

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
from entitlements.definitions import definitions
from entitlements.grants.models import Grant, GrantLine
from entitlements.people.models import Person
from governance.console import limit_fields, side_by_side
from governance.console.tags import within
from governance.request_suggestions import queries as request_suggestion_queries
from governance.requests.models import AccessRequest
from governance.requests.queries import pinned
from governance.reviews.decisions.models import Draft, ReviewDecision
from governance.reviews.items import outcome
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.reviewers.models import Assignment
from governance.reviews.suggestions import changes_since
from governance.reviews.usage import replay, right_sizing, tighter_limits, usage
from governance.reviews.usage.tighter_limits import Tightening

from . import campaigns as read

_CALLS: Final = 10
_BEFORE: Final = 5
_FACTS: Final = {
    "sponsor": gettext_lazy("Answers for the agent"),
    "owner": gettext_lazy("Technical owner"),
    "people": gettext_lazy("Acts for"),
    "model": gettext_lazy("Model it runs"),
    "prompt": gettext_lazy("What it is told (hash)"),
    "metadata": gettext_lazy("Its client's metadata (hash)"),
}


@dataclass(frozen=True, slots=True)
class Box:
    """One of the three flows that together let data out, and the tools of the agent that have it."""

    label: Any
    here: list[str]
    elsewhere: list[str]
    unsure: list[str]


@dataclass(frozen=True, slots=True)
class Detail:
    """Everything that is beside one item."""

    row: read.Row
    whole: replay.Replay | None
    suggested: replay.Replay | None
    drafted: replay.Replay | None
    since: changes_since.Changes | None
    changes: list[side_by_side.Change]
    flows: list[Box]
    asked: list[AccessRequest]
    before: list[ReviewDecision]
    calls: list[Event]
    grants: list[UUID]

    @property
    def is_complete_flow(self) -> bool:
        """Whether the agent holds all three flows together."""
        return bool(self.flows) and all(box.here or box.elsewhere or box.unsure for box in self.flows)


def of(item: ReviewItem, person: Person, *, whole: bool = False) -> Detail:
    """Read it, in a fixed number of statements; `item` comes from `reviews.to_answer` or `reviews.seen`."""
    (row,) = read.rows([item], person, whole=whole)
    lines = [line["row"] for line in row.lines] if row.is_access else []
    grants = sorted({line.grant_id for line in lines if line.grant_id})
    _say_ranges(row, grants)
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
        asked=_asked(grants),
        before=_before(item),
        calls=_calls(grants),
        grants=grants,
    )


def blind(item: ReviewItem, person: Person) -> Detail:
    """Read what whoever checks an answer sees: the item as it was frozen, and nothing that tells what was answered.

    So not how data can leave now, nor calls since, of which those that a cut denied would tell of it.
    """
    shown = read.seen(ReviewItem.objects.filter(pk=item.pk), person).get()
    shown.said = []  # type: ignore[attr-defined]
    shown.current_decision = None
    seen = of(shown, person, whole=True)
    frozen = item.campaign.snapshot_at
    return replace(seen, flows=[], calls=[call for call in seen.calls if frozen is not None and call.at <= frozen])


def _say_ranges(row: read.Row, grants: Sequence[UUID]) -> None:
    """Note on each line what was seen of it, and between which numbers, as far as a limit bounds them: as it is now."""
    if not any(line["row"].limits for line in row.lines):
        return
    found = usage.of_lines(grants, clock.now())
    for line in row.lines:
        use = found.get((line["row"].grant_id, line["row"].tool_id))
        line["use"], line["ranges"] = use, use.ranges if use else None


def _changes(since: changes_since.Changes) -> list[side_by_side.Change]:
    """Put the differences in words and side by side: added, taken away, defined or limited anew, and who and what."""
    told = [_line("+", line) for line in since.added] + [_line("-", line) for line in since.removed]
    told += [_line("~", line) for line in since.changed]
    facts = tuple(side_by_side.row(str(_FACTS[name]), before or None, now or None) for name, before, now in since.facts)
    if facts:
        told.append(side_by_side.Change("~", _("The agent"), (), facts))
    return told


def _line(sign: str, line: changes_since.ToolChange) -> side_by_side.Change:
    """Set one tool side by side: its limits where they differ, and its definition where the server changed it."""
    sides = ["; ".join(limits(each)) for each in (line.limits_before, line.limits_now)]
    about = _("May be called with")
    if sign != "~":
        only = (None, sides[1]) if sign == "+" else (sides[0], None)
        return side_by_side.Change(sign, line.tool, (), (side_by_side.row(about, *only),))
    sentences: tuple[str, ...] = ()
    rows: tuple[side_by_side.Row, ...] = ()
    same = 0
    if line.is_redefined:
        before, now = line.before or {}, line.now or {}
        sentences = tuple(definitions.difference(before or None, now or None))
        rows, same = side_by_side.definitions(before, now)
    if line.has_new_limits:
        rows = (side_by_side.row(about, *sides), *rows)
    return side_by_side.Change(sign, line.tool, sentences, rows, same)


def limits(written: Mapping[str, Any]) -> list[str]:
    """Say limits in sentences; without any, that there are none."""
    return within(written) if written else [_("any arguments")]


def _flows(item: ReviewItem, lines: Sequence[ReviewLine]) -> list[Box]:
    """Return the three flows over all that the agent holds now; nothing where it has none of them for sure."""
    if item.agent_id is None:
        return []
    live = Grant.objects.filter(agent=item.agent_id, ended_at=None)
    held = GrantLine.objects.filter(grant__in=live).select_related("tool__system").order_by("tool__name")
    tools = {line.tool_id: line.tool for line in held}
    mine = {line.tool_id for line in lines}
    boxes = []
    for name, label in request_suggestion_queries.LABELS.items():
        has = [tool for tool in tools.values() if getattr(tool, name)]
        unsure = [tool.name for tool in tools.values() if getattr(tool, name) is None and tool.risk in _RISKY]
        elsewhere = [f"{tool.name} ({tool.system.name})" for tool in has if tool.pk not in mine]
        boxes.append(Box(label, [tool.name for tool in has if tool.pk in mine], elsewhere, unsure))
    return boxes if any(box.here or box.elsewhere for box in boxes) else []


_RISKY: Final = frozenset({"high", "critical"})


def _asked(grants: Sequence[UUID]) -> list[AccessRequest]:
    """Return the requests behind some grants, each with who answered it."""
    rows = Grant.objects.filter(pk__in=grants, request_id__isnull=False).values("request_id")
    asked = AccessRequest.objects.filter(pk__in=rows).select_related("requested_by")
    return list(asked.prefetch_related("approvals__by", "approvals__rule").order_by("asked_at"))


def _before(item: ReviewItem) -> list[ReviewDecision]:
    said = outcome.standing().filter(item__in=changes_since.earlier(item))
    return list(said.select_related("item__campaign", "decided_by").order_by("-decided_at")[:_BEFORE])


def _calls(grants: Sequence[UUID]) -> list[Event]:
    """Return the last calls under some grants, whatever came of them."""
    found: list[Event] = []
    for grant in grants:
        about = Event.objects.filter(links__contains=[f"grant:{grant}"], action__in=["call.allowed", "call.denied"])
        found += about.order_by("-at", "-producer", "-sequence")[:_CALLS]
    return sorted(found, key=lambda event: event.at, reverse=True)[:_CALLS]


@dataclass(frozen=True, slots=True)
class Narrowing:
    """One line of the form that keeps some: its tick, the fields of tighter limits, and those that could be lower."""

    line: dict[str, Any]
    limits: Mapping[str, Any]
    fields: list[limit_fields.Field]
    opened: bool
    lower: Sequence[Tightening] = ()


def narrowing(row: read.Row, draft: Draft | None) -> list[Narrowing]:
    """Return the form that keeps some: each line with the limits that its tool's arguments can be given."""
    held = draft.limits if draft else {}
    prefetch_related_objects([line["row"].tool for line in row.lines], "approved")
    made = []
    for line in row.lines:
        tool, pk = line["row"].tool, str(line["row"].pk)
        now = held.get(pk, line["row"].limits)
        fields = limit_fields.fields(f"{pk}", pinned(tool), now)
        use = line.get("use")
        lower = right_sizing.tightenings(tool.name, now, use) if use else ()
        made.append(Narrowing(line, now, fields, pk in held, lower))
    return made


def lowered(form: Sequence[Narrowing]) -> replay.Replay | None:
    """Replay keeping every tool with the lower limits that the form offers, if it offers any."""
    rows = [each.line["row"] for each in form]
    limits = {
        each.line["row"].pk: tighter_limits.tightened(each.limits, {one.argument: one.proposed for one in each.lower})
        for each in form
        if each.lower
    }
    return replay.of_lines(rows, [row.pk for row in rows], limits) if limits else None


def mine(item: ReviewItem, person: Person) -> Assignment | None:
    """Return the assignment that makes an item somebody's to answer now."""
    return read.live(item.campaign, person).filter(item=item).select_related("reviewer").first()
