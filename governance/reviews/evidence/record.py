"""The evidence of a campaign as a list: each decision with its reviewer, time, reason, remediation and events."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import batched
from typing import Any, Final
from uuid import UUID

from django.db.models import Model, QuerySet

from audit.actions import Action
from audit.models import Event
from entitlements import spreadsheets
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import undecided
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items import outcome
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.population.models import PopulationRow
from governance.reviews.remediation import verification
from governance.reviews.remediation.models import Remediation
from governance.reviews.reviewers.models import Assignment

from .tie_out import PROVEN, tie_out

COLUMNS: Final = (
    "number",
    "item",
    "kind",
    "name",
    "agent",
    "system",
    "subjects",
    "tools",
    "risk",
    "outcome",
    "reason_code",
    "comment",
    "decided_by",
    "decided_at",
    "via",
    "valid_until",
    "answers",
    "reviewer",
    "reviewer_rule",
    "skipped",
    "grants",
    "removal",
    "removed_at",
    "proven_at",
    "residual_until",
    "event",
    "proof_event",
    "untried",
    "carried_from",
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The list, row by row, with the checks that tie it to its population; read some thousand rows at a time."""

    campaign: Campaign

    @property
    def tie_out(self) -> dict[str, int]:
        """Return the differences between numbers that must be equal; all are zero in a complete list."""
        return tie_out(self.campaign)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Read the row of each item."""
        for items in _parts(items_of(self.campaign), "number"):
            yield from rows_of(items)

    def population(self) -> Iterator[dict[str, str]]:
        """Read the frozen population with its hashes."""
        for rows in _parts(PopulationRow.objects.filter(campaign=self.campaign).order_by("seq"), "seq"):
            for row in rows:
                yield {"seq": str(row.seq), "payload": row.payload, "row_sha256": row.row_sha256}

    def head(self) -> dict[str, Any]:
        """Return the data of the campaign as a whole."""
        campaign = self.campaign
        return {
            "campaign": campaign.slug,
            "name": campaign.name,
            "kind": campaign.kind,
            "state": campaign.state,
            "owner": campaign.owner.login,
            "scope": campaign.scope,
            "scope_sha256": campaign.scope_sha256,
            "snapshot_at": campaign.snapshot_at.isoformat() if campaign.snapshot_at else None,
            "population_rows": campaign.population_rows,
            "population_sha256": campaign.population_sha256,
            "outcomes": undecided.outcomes(campaign),
            "tie_out": self.tie_out,
        }

    def as_json(self) -> Iterator[str]:
        """Write all of it as one JSON object, with one row per line."""
        yield json.dumps(self.head(), ensure_ascii=False)[:-1]
        for name, rows in (("rows", self.rows()), ("population", self.population())):
            yield f', "{name}": ['
            for place, row in enumerate(rows):
                yield (",\n" if place else "\n") + json.dumps(row, ensure_ascii=False)
            yield "]"
        yield "}\n"

    def as_csv(self) -> Iterator[str]:
        """Write the list as CSV, in which no cell is a formula."""
        yield spreadsheets.line(COLUMNS)
        for row in self.rows():
            yield spreadsheets.line(_flat(row[name]) for name in COLUMNS)


def _parts[M: Model](rows: QuerySet[M], key: str) -> Iterator[list[M]]:
    """Read rows by a number, some thousand at a time, so that a million rows are never in memory."""
    after = 0
    while part := list(rows.filter(**{f"{key}__gt": after})[:_AT_ONCE]):
        yield part
        after = getattr(part[-1], key)


_AT_ONCE: Final = 2000


def _flat(value: object) -> object:
    if isinstance(value, list):
        return "; ".join(part if isinstance(part, str) else json.dumps(part, sort_keys=True) for part in value)
    return value


def evidence(campaign: Campaign) -> Evidence:
    """Return the evidence of a campaign; its rows are read on demand."""
    return Evidence(campaign)


def items_of(campaign: Campaign) -> QuerySet[ReviewItem]:
    """Return the items in the order of the list."""
    return ReviewItem.objects.filter(campaign=campaign).order_by("number")


def rows_of(items: Collection[ReviewItem]) -> list[dict[str, Any]]:
    """Return the rows of some items; the cost does not depend on the size of the campaign."""
    ids = [item.pk for item in items]
    if not ids:
        return []
    links = [f"decision:{item.current_decision_id}" for item in items if item.current_decision_id]
    links += [f"item:{item.pk}" for item in items if item.current_decision_id is None and item.state in _ENDED]
    removals = outcome.removals(ids)
    links += [f"decision:{removal.pk}" for of_item in removals.values() for removal in of_item]
    return list(_rows(ReviewItem.objects.filter(pk__in=ids).order_by("number"), removals, links))


_ENDED: Final = (ReviewItem.State.NO_RESPONSE, ReviewItem.State.SUPERSEDED, ReviewItem.State.CARRIED_FORWARD)


def _rows(
    items: QuerySet[ReviewItem], removals: Mapping[UUID, Sequence[Remediation]], links: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Return the rows of items; `links` are the links of the log's events about them."""
    tools, grants, assigned, events = _tools(items), _grants(items), _assigned(items), _events(links)
    answers, come_to = _answers(items), outcome.combined([item.pk for item in items])
    people = ("current_decision__decided_by", "carried_from__item__campaign")
    for item in items.select_related("agent", "system", *people):
        decision, assignment = item.current_decision, assigned.get(item.pk)
        resolution = assignment.resolution if assignment else {}
        yield {
            "number": item.number,
            "item": str(item.pk),
            "kind": item.subject_kind,
            "name": item.name,
            "agent": item.agent_slug,
            "system": item.system_slug,
            "subjects": item.subjects,
            "tools": tools[item.pk],
            "risk": item.risk,
            "outcome": decision.verb if decision else item.state,
            **_decision(decision, otherwise=item.exclusion_reason),
            "valid_until": _moment(come_to[item.pk].valid_until if item.pk in come_to else None),
            "answers": answers[item.pk],
            "reviewer": assignment.reviewer.login if assignment and assignment.reviewer else None,
            "reviewer_rule": resolution.get("rule", ""),
            "skipped": [f"{skip['who']}: {skip['why']}" for skip in resolution.get("skipped", [])],
            "grants": grants[item.pk],
            **_removed(removals.get(item.pk, ()), events),
            "event": events.get((_OUTCOME, f"decision:{decision.pk}" if decision else f"item:{item.pk}"), ""),
            "carried_from": item.carried_at,
        }


def _removed(removals: Sequence[Remediation], events: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """Return the state of an item's removals: that of the least advanced, with the latest time of each kind.

    `untried` counts the calls and tokens that the verifications did not try.
    """
    if not removals:
        return dict.fromkeys(("removal", "removed_at", "proven_at", "residual_until", "proof_event", "untried"), "")
    open_ = [removal for removal in removals if removal.state not in PROVEN]
    least = open_[0] if open_ else removals[-1]
    return {
        "removal": least.state,
        "removed_at": _last(removal.applied_at for removal in removals),
        "proven_at": "" if open_ else _last(removal.verified_at for removal in removals),
        "residual_until": _last(removal.residual_until for removal in removals),
        "proof_event": "" if open_ else events.get((_PROOF, f"decision:{least.pk}"), ""),
        "untried": sum(verification.untried(removal.probe) for removal in removals),
    }


def _last(moments: Iterable[datetime | None]) -> str:
    return _moment(max((moment for moment in moments if moment), default=None))


def _decision(decision: ReviewDecision | None, *, otherwise: str) -> dict[str, Any]:
    return {
        "reason_code": decision.reason_code if decision else "",
        "comment": decision.comment if decision else otherwise,
        "decided_by": decision.decided_by.login if decision else "",
        "decided_at": _moment(decision.decided_at if decision else None),
        "via": decision.via if decision else "",
    }


def _moment(at: Any) -> str:  # noqa: ANN401 - a moment or None
    return at.isoformat() if at else ""


def _ids(items: QuerySet[ReviewItem]) -> QuerySet[ReviewItem, Any]:
    return items.order_by().values("pk")


def _tools(items: QuerySet[ReviewItem]) -> dict[Any, list[str]]:
    by_item: dict[Any, list[str]] = defaultdict(list)
    lines = ReviewLine.objects.filter(item__in=_ids(items)).order_by("tool__name")
    for item, name, grade, calls in lines.values_list("item", "tool__name", "usage_grade", "calls_window"):
        by_item[item].append(f"{name} ({calls} calls)" if grade == "A" else f"{name} (calls not visible)")
    return by_item


def _answers(items: QuerySet[ReviewItem]) -> dict[Any, list[str]]:
    """Return every decision about each item, with those taken back and abstentions."""
    by_item: dict[Any, list[str]] = defaultdict(list)
    decisions = ReviewDecision.objects.filter(item__in=_ids(items)).order_by("decided_at", "stage")
    for item, stage, verb, login, reason_code, kind, comment in decisions.values_list(
        "item", "stage", "verb", "decided_by__login", "reason_code", "taken_back__kind", "comment"
    ):
        back = {"recall": ", taken back", "reopen": ", opened again"}.get(kind or "", "")
        by_item[item].append(
            f"stage {stage}: {verb} by {login}"
            + (f" ({reason_code})" if reason_code else "")
            + back
            + (f": {comment}" if comment else "")
        )
    return by_item


def _grants(items: QuerySet[ReviewItem]) -> dict[Any, list[str]]:
    by_item: dict[Any, list[str]] = defaultdict(list)
    rows = PopulationRow.objects.filter(item__in=_ids(items), grant__isnull=False)
    for item, grant in rows.order_by("seq").values_list("item", "grant"):
        by_item[item].append(str(grant))
    return by_item


def _assigned(items: QuerySet[ReviewItem]) -> dict[Any, Assignment]:
    """Return the last assignment of each item."""
    rows = Assignment.objects.filter(item__in=_ids(items), replaced_by=None).select_related("reviewer")
    return {row.item_id: row for row in rows.order_by("assigned_at")}


_OUTCOME, _PROOF = "outcome", "proof"
_ABOUT: Final = {
    Action.REVIEW_DECIDED: (_OUTCOME, "decision:"),
    Action.REVIEW_NOT_ANSWERED: (_OUTCOME, "item:"),
    Action.REVIEW_SETTLED: (_OUTCOME, "item:"),
    Action.REVIEW_SUPERSEDED: (_OUTCOME, "item:"),
    Action.REMEDIATION_VERIFIED: (_PROOF, "decision:"),
}


def _events(links: Sequence[str]) -> dict[tuple[str, str], str]:
    """Find the event of each outcome and of each proof.

    It looks for a hundred links at a time by their index; for some thousand the database would read every event.
    """
    by_link: dict[tuple[str, str], str] = {}
    for part in batched(links, 100):
        events = Event.objects.filter(links__overlap=list(part), action__in=[str(name) for name in _ABOUT])
        for action, about, uuid in events.values_list("action", "links", "uuid"):
            kind, prefix = _ABOUT[Action(action)]
            by_link |= {(kind, link): str(uuid) for link in about if link.startswith(prefix)}
    return by_link
