"""What a pack's tables have in common, and those of what was reviewed: plain values in a fixed order, from one query.

A table is a query and a writer of its rows, so that two runs are equal, and the query can be shown as it was run.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import DateTimeField, OuterRef, Q, QuerySet, Subquery, Value

from audit import clock
from audit.actions import Action
from audit.models import Event
from entitlements.grants.models import Grant
from governance import cursors
from governance.notices.models import Notice
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.models import ReviewItem
from governance.reviews.population import scopes
from governance.reviews.population.models import PopulationRow
from governance.reviews.reviewers.models import Assignment
from governance.reviews.usage import usage

type Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """A query, a writer of its rows, the columns whose values are counted, and the link that finds a row's events.

    The link is like "grant:{grant}", and empty where the record tells of no row by itself.
    """

    query: Callable[[Campaign], QuerySet[Any, Any]]
    write: Callable[[Iterable[Any]], Iterator[Row]]
    totals: tuple[str, ...] = ()
    about: str = ""

    def rows(self, campaign: Campaign) -> Iterator[Row]:
        """Read the table from the database, a part at a time, in the transaction that the caller holds open."""
        return self.write(cursors.in_parts(self.query(campaign)))


def utc(at: datetime | None) -> str:
    """Write a moment in UTC with microseconds and Z, whatever the zone of the session; empty for none."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if at else ""


def _population(campaign: Campaign) -> QuerySet[PopulationRow]:
    return PopulationRow.objects.filter(campaign=campaign).select_related("item").order_by("seq")


def population(rows: Iterable[PopulationRow]) -> Iterator[Row]:
    """Each grant, or other thing, as it was when the campaign began, with the digest of the bytes of `payload`."""
    for row in rows:
        yield {
            "seq": row.seq,
            "item": row.item.number,
            "risk": row.item.risk,
            "grant": str(row.grant_id or ""),
            "grant_version": row.grant_version,
            "ephemeral": False,
            "payload": row.payload,
            "row_sha256": row.row_sha256,
        }


def _items(campaign: Campaign) -> QuerySet[ReviewItem]:
    rows = ReviewItem.objects.filter(campaign=campaign).order_by("number")
    return rows.select_related("agent", "system", "current_decision", "carried_from__item__campaign")


def items(rows: Iterable[ReviewItem]) -> Iterator[Row]:
    """Each item with its outcome; what was carried forward says from which answer of which review."""
    for row in rows:
        yield {
            "item": row.number,
            "item_id": str(row.pk),
            "kind": row.subject_kind,
            "name": row.name,
            "agent": row.agent_slug,
            "system": row.system_slug,
            "subjects": row.subjects,
            "risk": row.risk,
            "outcome": row.current_decision.verb if row.current_decision else row.state,
            "exclusion_reason": row.exclusion_reason,
            "carried_from": row.carried_at,
        }


def issued_after(campaign: Campaign) -> set[UUID]:
    """Return the grants that the record says were issued after the population was taken, and that are not in it."""
    until = campaign.closed_at or clock.now()
    told = Event.objects.filter(action=Action.GRANT_ISSUED, at__gt=campaign.snapshot_at, at__lte=until)
    issued = _grants_of(told)
    return issued - set(
        PopulationRow.objects.filter(campaign=campaign, grant__in=issued).values_list("grant", flat=True)
    )


@transaction.atomic
def _grants_of(events: QuerySet[Event]) -> set[UUID]:
    """Return the grants that events are about."""
    links = (link for each in cursors.in_parts(events.values_list("links", flat=True)) for link in each)
    return {UUID(link.removeprefix("grant:")) for link in links if link.startswith("grant:")}


def _late_arrivals(campaign: Campaign) -> QuerySet[Grant]:
    began = Q(starts_at__gt=campaign.snapshot_at, starts_at__lte=campaign.closed_at or clock.now())
    covered = PopulationRow.objects.filter(grant=OuterRef("pk"), campaign__state__in=Campaign.BEGAN)
    covered = covered.order_by("campaign__created_at")  # one that was never begun, or was cancelled, covers nothing
    rows = (
        Grant.objects.filter(began | Q(pk__in=sorted(issued_after(campaign))))
        .exclude(pk__in=PopulationRow.objects.filter(campaign=campaign, grant__isnull=False).values("grant"))
        .annotate(covered_by=Subquery(covered.values("campaign__slug")[:1]))
    )
    return rows.select_related("agent", "entitlement__system").order_by("starts_at", "pk")


def late_arrivals(rows: Iterable[Any]) -> Iterator[Row]:
    """Each grant that was issued or began after the population was taken, whatever the scope; what covers it.

    `issued_at` is what the record says, empty where it tells of no issue.
    """
    for some in batched(rows, 500):
        links = [f"grant:{grant.pk}" for grant in some]
        told = Event.objects.filter(action=Action.GRANT_ISSUED, links__overlap=links)
        issued = {link: event.at for event in told for link in event.about}
        for grant in some:
            yield {
                "grant": str(grant.pk),
                "agent": grant.agent.slug,
                "system": grant.entitlement.system.slug,
                "entitlement": grant.entitlement.scope,
                "issued_at": utc(issued.get(f"grant:{grant.pk}")),
                "starts_at": utc(grant.starts_at),
                "expires_at": utc(grant.expires_at),
                "state": grant.state,
                "ephemeral": grant.ended_at is not None,
                "covered_by": grant.covered_by or "",
            }


_ENDS: Final = (Action.GRANT_EXPIRED, Action.GRANT_REVOKED)
_MARGIN: Final = timedelta(minutes=1)
"""What ended so close to the beginning of the window is not compared: a row and its event have two moments."""


def _ephemeral(campaign: Campaign) -> QuerySet[Grant]:
    rows = _not_taken(campaign, scopes.ended_grants(campaign)).select_related("agent", "entitlement__system")
    since, until = _compared(campaign)
    told = {"since": Value(since, DateTimeField()), "until": Value(until, DateTimeField())}
    return rows.annotate(**told).order_by("ended_at", "pk")


def _not_taken(campaign: Campaign, rows: QuerySet[Grant]) -> QuerySet[Grant]:
    """Leave out what was still in force for the frozen list, though it ended while that was taken."""
    return rows.exclude(pk__in=PopulationRow.objects.filter(campaign=campaign, grant__isnull=False).values("grant"))


def _compared(campaign: Campaign) -> tuple[datetime, datetime]:
    """Return between which moments ends in the record are set against the rows."""
    until = campaign.snapshot_at or clock.now()
    return until - usage.WINDOW + _MARGIN, until


def ephemeral(rows: Iterable[Any]) -> Iterator[Row]:
    """Each grant within the scope that was in force in the ninety days before, and over when the list was frozen.

    `recorded_at` is when the record says that it ended, empty where it tells of no end.
    """
    for some in batched(rows, 500):
        told = Event.objects.filter(action__in=_ENDS, links__overlap=[f"grant:{grant.pk}" for grant in some])
        recorded = {link: event.at for event in told for link in event.about}
        for grant in some:
            at = recorded.get(f"grant:{grant.pk}")
            yield {
                "grant": str(grant.pk),
                "agent": grant.agent.slug,
                "system": grant.entitlement.system.slug,
                "entitlement": grant.entitlement.scope,
                "request": str(grant.request_id or ""),
                "starts_at": utc(grant.starts_at),
                "expires_at": utc(grant.expires_at),
                "ended_at": utc(grant.ended_at),
                "recorded_at": utc(at if at and grant.since < at <= grant.until else None),
                "state": grant.state,
                "end_reason": grant.end_reason,
                "ephemeral": True,
            }


def over_before(campaign: Campaign) -> int:
    """Count the grants in scope of which the record says that they ended in the window before the list was frozen."""
    since, until = _compared(campaign)
    told = Event.objects.filter(action__in=_ENDS, at__gt=since, at__lte=until)
    return _not_taken(campaign, scopes.ended_grants(campaign, _grants_of(told))).count()


def _assignments(campaign: Campaign) -> QuerySet[Assignment]:
    told = Notice.objects.filter(person=OuterRef("reviewer"), url__startswith=f"/reviews/{campaign.slug}/")
    read = told.filter(read_at__isnull=False).order_by("read_at").values("read_at")[:1]
    rows = Assignment.objects.filter(item__campaign=campaign).annotate(acknowledged_at=Subquery(read))
    return rows.select_related("item", "reviewer").order_by("item__number", "stage", "assigned_at", "pk")


def assignments(rows: Iterable[Any]) -> Iterator[Row]:
    """Who was to answer each item, by which rule, and who was passed over and why: the check of conflicts.

    `provisions`: the reviewer owns the system that it is at. `acknowledged_at` is when she first read a notice of this
    review, `opened_on` the day on which she opened the item: a pack is kept for years, and times of the day would say
    how long she looked at each.
    """
    for row in rows:
        yield {
            "item": row.item.number,
            "stage": row.stage,
            "reviewer": row.reviewer.login if row.reviewer else "",
            "state": row.state,
            "rule": row.resolution.get("rule", ""),
            "provisions": row.resolution.get("provisions", False),
            "resolution": row.resolution,
            "assigned_at": utc(row.assigned_at),
            "acknowledged_at": utc(row.acknowledged_at),
            "opened_on": utc(row.opened_at)[:10],
        }


TABLES: Final = {
    "03_population": Table(_population, population, ("risk",), "grant:{grant}"),
    "03_late_arrivals": Table(_late_arrivals, late_arrivals, ("system", "state", "covered_by"), "grant:{grant}"),
    "03_ephemeral": Table(_ephemeral, ephemeral, ("system", "state"), "grant:{grant}"),
    "04_assignments": Table(_assignments, assignments, ("stage", "state", "rule", "provisions")),
    "05_items": Table(_items, items, ("system", "risk", "outcome"), "item:{item_id}"),
}


class Totals:
    """The population counted by what an auditor compares with other lists."""

    def __init__(self) -> None:
        self.counted = {name: Counter[str]() for name in ("system", "sponsor", "entitlement", "state", "risk")}

    def add(self, row: Row) -> None:
        """Count one row of the population."""
        payload = {**json.loads(row["payload"]), "risk": row["risk"]}
        for name, counter in self.counted.items():
            counter[str(payload.get(name) or "")] += 1
