"""The base of a pack's tables, and the tables of the population: plain values in a fixed order, from one query.

A table is a query and a writer of its rows, so that two runs are equal, and the pack can show the query.
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
from entitlements.strict import known_uuid
from governance.database import cursors
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

    The link is like "grant:{grant}", and empty where the log has no events about single rows.
    """

    query: Callable[[Campaign], QuerySet[Any, Any]]
    write: Callable[[Iterable[Any]], Iterator[Row]]
    totals: tuple[str, ...] = ()
    about: str = ""

    def rows(self, campaign: Campaign) -> Iterator[Row]:
        """Read the table in parts, in the transaction that the caller holds open."""
        return self.write(cursors.in_parts(self.query(campaign)))


def utc(at: datetime | None) -> str:
    """Format a moment in UTC with microseconds and Z, whatever the session's zone; empty for None."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if at else ""


def _population(campaign: Campaign) -> QuerySet[PopulationRow]:
    return PopulationRow.objects.filter(campaign=campaign).select_related("item").order_by("seq")


def population(rows: Iterable[PopulationRow]) -> Iterator[Row]:
    """Each grant, or other subject, as it was when the campaign began, with the digest of the bytes of `payload`."""
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
    """Each item with its outcome; an item carried forward names the decision and the review it comes from."""
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
    """Return the grants that were issued after the snapshot by the log, and that are not in the population."""
    until = campaign.closed_at or clock.now()
    events = Event.objects.filter(action=Action.GRANT_ISSUED, at__gt=campaign.snapshot_at, at__lte=until)
    issued = _grants_of(events)
    return issued - set(
        PopulationRow.objects.filter(campaign=campaign, grant__in=issued).values_list("grant", flat=True)
    )


@transaction.atomic
def _grants_of(events: QuerySet[Event]) -> set[UUID]:
    """Return the grants that events are about."""
    links = (link for event_links in cursors.in_parts(events.values_list("links", flat=True)) for link in event_links)
    return {key for link in links if link.startswith("grant:") and (key := known_uuid(link.removeprefix("grant:")))}


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
    """Each grant that was issued or began after the snapshot, whatever the scope, and the review that covers it.

    `issued_at` is the time of its event in the log, empty without one.
    """
    for grants in batched(rows, 500):
        links = [f"grant:{grant.pk}" for grant in grants]
        events = Event.objects.filter(action=Action.GRANT_ISSUED, links__overlap=links)
        issued = {link: event.at for event in events for link in event.about}
        for grant in grants:
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
"""Grants that ended so close to the beginning of the window are not compared: a row and its event differ in time."""


def _ephemeral(campaign: Campaign) -> QuerySet[Grant]:
    rows = _not_taken(campaign, scopes.ended_grants(campaign)).select_related("agent", "entitlement__system")
    since, until = _compared(campaign)
    window = {"since": Value(since, DateTimeField()), "until": Value(until, DateTimeField())}
    return rows.annotate(**window).order_by("ended_at", "pk")


def _not_taken(campaign: Campaign, rows: QuerySet[Grant]) -> QuerySet[Grant]:
    """Exclude grants that are in the population, though they ended while the snapshot was taken."""
    return rows.exclude(pk__in=PopulationRow.objects.filter(campaign=campaign, grant__isnull=False).values("grant"))


def _compared(campaign: Campaign) -> tuple[datetime, datetime]:
    """Return the window in which ends in the log are compared with the rows."""
    until = campaign.snapshot_at or clock.now()
    return until - usage.WINDOW + _MARGIN, until


def ephemeral(rows: Iterable[Any]) -> Iterator[Row]:
    """Each grant in scope that was in force in the ninety days before the snapshot, and had ended by then.

    `recorded_at` is the time of its end in the log, empty without an event.
    """
    for grants in batched(rows, 500):
        events = Event.objects.filter(action__in=_ENDS, links__overlap=[f"grant:{grant.pk}" for grant in grants])
        recorded = {link: event.at for event in events for link in event.about}
        for grant in grants:
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
    """Count the grants in scope that ended in the window before the snapshot, by the log."""
    since, until = _compared(campaign)
    events = Event.objects.filter(action__in=_ENDS, at__gt=since, at__lte=until)
    return _not_taken(campaign, scopes.ended_grants(campaign, _grants_of(events))).count()


def _assignments(campaign: Campaign) -> QuerySet[Assignment]:
    notices = Notice.objects.filter(person=OuterRef("reviewer"), url__startswith=f"/reviews/{campaign.slug}/")
    read = notices.filter(read_at__isnull=False).order_by("read_at").values("read_at")[:1]
    rows = Assignment.objects.filter(item__campaign=campaign).annotate(acknowledged_at=Subquery(read))
    return rows.select_related("item", "reviewer").order_by("item__number", "stage", "assigned_at", "pk")


def assignments(rows: Iterable[Any]) -> Iterator[Row]:
    """The reviewer assignments of each item, by which rule, and who was skipped and why (conflicts of interest).

    `provisions`: the reviewer owns the item's system. `acknowledged_at` is when they first read a notice of this
    review, `opened_on` the day on which they opened the item: a pack is kept for years, and times of the day would show
    how long they looked at each.
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
    """Totals of the population that an auditor compares with other lists."""

    def __init__(self) -> None:
        self.counted = {name: Counter[str]() for name in ("system", "sponsor", "entitlement", "state", "risk")}

    def add(self, row: Row) -> None:
        """Count one row of the population."""
        payload = {**json.loads(row["payload"]), "risk": row["risk"]}
        for name, counter in self.counted.items():
            counter[str(payload.get(name) or "")] += 1
