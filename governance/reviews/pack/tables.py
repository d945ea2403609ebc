"""The tables of a pack, row by row: plain values in a fixed order, each from one query, so that two runs are equal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from django.db.models import OuterRef, Subquery

from audit import clock
from audit.models import Event
from entitlements.models import Grant
from governance.models import (
    Assignment,
    Campaign,
    NoAnswer,
    Notice,
    PopulationRow,
    Remediation,
    RemovalException,
    ReviewDecision,
    ReviewItem,
    ReviewLine,
    TakenBack,
)

type Row = dict[str, Any]

CONFIGURATION: Final = ("approval_policy.", "approval_rule.", "campaign.", "combination_rule.", "person.role", "setup.")
"""What of the record says that a rule or a right in Mandate itself changed."""


def utc(at: datetime | None) -> str:
    """Write a moment in UTC with microseconds and Z, whatever the zone of the session; empty for none."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if at else ""


def population(campaign: Campaign) -> Iterator[Row]:
    """Each grant as it was when the campaign began. `row_sha256` is the digest of the bytes of `payload`."""
    rows = PopulationRow.objects.filter(campaign=campaign).select_related("item").order_by("seq")
    for row in rows.iterator():
        yield {
            "seq": row.seq,
            "item": row.item.number,
            "grant": str(row.grant_id),
            "grant_version": row.grant_version,
            "payload": row.payload,
            "row_sha256": row.row_sha256,
        }


def items(campaign: Campaign) -> Iterator[Row]:
    """Each item with its outcome."""
    rows = ReviewItem.objects.filter(campaign=campaign).order_by("number")
    for row in rows.select_related("agent", "system", "current_decision"):
        yield {
            "item": row.number,
            "agent": row.agent.slug,
            "system": row.system.slug,
            "subjects": row.subjects,
            "risk": row.risk,
            "outcome": row.current_decision.verb if row.current_decision else row.state,
            "exclusion_reason": row.exclusion_reason,
        }


def late_arrivals(campaign: Campaign) -> Iterator[Row]:
    """Each grant that began after the population was taken and before the end, whatever the scope; what covers it."""
    until = campaign.closed_at or clock.now()
    covered = PopulationRow.objects.filter(grant=OuterRef("pk")).order_by("campaign__created_at")
    rows = (
        Grant.objects.filter(starts_at__gt=campaign.snapshot_at, starts_at__lte=until)
        .exclude(pk__in=PopulationRow.objects.filter(campaign=campaign).values("grant"))
        .annotate(covered_by=Subquery(covered.values("campaign__slug")[:1]))
        .select_related("agent", "entitlement__system")
    )
    for grant in rows.order_by("starts_at", "pk"):
        yield {
            "grant": str(grant.pk),
            "agent": grant.agent.slug,
            "system": grant.entitlement.system.slug,
            "entitlement": grant.entitlement.scope,
            "starts_at": utc(grant.starts_at),
            "expires_at": utc(grant.expires_at),
            "state": grant.state,
            "covered_by": grant.covered_by or "",
        }


def assignments(campaign: Campaign) -> Iterator[Row]:
    """Who was to answer each item, by which rule, and who was passed over and why: the check of conflicts."""
    rows = Assignment.objects.filter(item__campaign=campaign).select_related("item", "reviewer")
    for row in rows.order_by("item__number", "stage", "assigned_at", "pk"):
        yield {
            "item": row.item.number,
            "stage": row.stage,
            "reviewer": row.reviewer.login if row.reviewer else "",
            "state": row.state,
            "rule": row.resolution.get("rule", ""),
            "resolution": row.resolution,
            "assigned_at": utc(row.assigned_at),
            "opened_at": utc(row.opened_at),
        }


def decisions(campaign: Campaign) -> Iterator[Row]:
    """Each line of each item under each answer that counts: kept, removed, or without an answer."""
    lines = ReviewLine.objects.filter(item__campaign=campaign).select_related(
        "item__agent", "item__system", "tool", "item__current_decision__decided_by"
    )
    for line in lines.order_by("item__number", "grant", "tool__name"):
        said = line.item.current_decision
        yield {
            "item": line.item.number,
            "agent": line.item.agent.slug,
            "system": line.item.system.slug,
            "grant": str(line.grant_id),
            "tool": line.tool.name,
            "usage_grade": line.usage_grade,
            "calls": line.calls_window,
            "denied": line.denied_window,
            "outcome": line.item.state if said is None else "kept" if line.pk in said.kept_lines else "removed",
            "limits": said.limits.get(str(line.pk), {}) if said else {},
            **(_said(said) if said else dict.fromkeys(_SAID, "")),
        }


_SAID: Final = (
    "decision",
    "stage",
    "verb",
    "reason_code",
    "comment",
    "decided_by",
    "via",
    "amr",
    "decided_at",
    "valid_until",
    "suggestion",
    "suggested_by",
    "bulk_op",
)


def _said(said: ReviewDecision) -> Row:
    values = (
        str(said.pk),
        said.stage,
        said.verb,
        said.reason_code,
        said.comment,
        said.decided_by.login,
        said.via,
        list(said.amr),
        utc(said.decided_at),
        utc(said.valid_until),
        said.suggestion,
        said.reco_version,
        str(said.bulk_op or ""),
    )
    return dict(zip(_SAID, values, strict=True))


def history(campaign: Campaign) -> Iterator[Row]:
    """Every answer ever given, also those that were abstentions, taken back or of an earlier stage."""
    rows = ReviewDecision.objects.filter(item__campaign=campaign).select_related("item", "decided_by")
    taken = {row.decision_id: row for row in TakenBack.objects.filter(decision__item__campaign=campaign)}
    for said in rows.order_by("decided_at", "pk"):
        back = taken.get(said.pk)
        yield {
            "item": said.item.number,
            **_said(said),
            "supersedes": str(said.supersedes_id or ""),
            "counts": said.item.current_decision_id == said.pk,
            "taken_back": back.kind if back else "",
            "taken_back_at": utc(back.at if back else None),
            "taken_back_because": back.reason if back else "",
        }


def unanswered(campaign: Campaign) -> Iterator[Row]:
    """What the deadline did about items that nobody answered."""
    rows = NoAnswer.objects.filter(item__campaign=campaign).select_related("item", "restored_by")
    for row in rows.order_by("item__number"):
        yield {
            "item": row.item.number,
            "did": row.did,
            "at": utc(row.at),
            "grants": [str(grant) for grant in row.grants],
            "calls_a_day": row.calls_a_day,
            "revoke_at": utc(row.revoke_at),
            "revoked_at": utc(row.revoked_at),
            "restored_at": utc(row.restored_at),
            "restored_by": row.restored_by.login if row.restored_by else "",
            "reason": row.reason,
        }


def remediation(campaign: Campaign) -> Iterator[Row]:
    """Each cut, when it worked, when it was proven, and until when a token issued before could still be read."""
    rows = Remediation.objects.filter(decision__item__campaign=campaign).select_related("decision__item")
    for row in rows.order_by("decision__item__number", "pk"):
        yield {
            "item": row.decision.item.number,
            "decision": str(row.pk),
            "action": row.action,
            "state": row.state,
            "due_at": utc(row.due_at),
            "applied_at": utc(row.applied_at),
            "verified_at": utc(row.verified_at),
            "finished_at": utc(row.finished_at),
            "residual_until": utc(row.residual_until),
            "attempts": row.attempts,
            "probe": row.probe,
        }


def exceptions(campaign: Campaign) -> Iterator[Row]:
    """Each cut that was excepted for a while, with who answers for it and what stands in for it."""
    rows = RemovalException.objects.filter(remediation__decision__item__campaign=campaign).select_related("by")
    for row in rows.order_by("made_at", "pk"):
        yield {
            "decision": str(row.remediation_id),
            "by": row.by.login,
            "reason": row.reason,
            "control": row.control,
            "made_at": utc(row.made_at),
            "expires_at": utc(row.expires_at),
            "ended_at": utc(row.ended_at),
        }


def notifications(campaign: Campaign) -> Iterator[Row]:
    """What reviewers were told of it, and whether the mail was taken."""
    rows = Notice.objects.filter(url__startswith=f"/reviews/{campaign.slug}/").select_related("person", "delivery")
    for row in rows.order_by("made_at", "pk"):
        yield {
            "person": row.person.login,
            "kind": row.kind,
            "told_at": utc(row.made_at),
            "read_at": utc(row.read_at),
            "mail": row.delivery.state if row.delivery else "",
            "mailed_at": utc(row.delivery.sent_at if row.delivery else None),
        }


def quality(campaign: Campaign) -> Iterator[Row]:
    """How the answers were given, by risk and verb. People are not named: who looks at care looks at all together."""
    counted: Counter[tuple[str, str, str]] = Counter()
    rows = ReviewDecision.objects.filter(item__campaign=campaign).values_list("item__risk", "verb", "bulk_op")
    for risk, verb, bulk in rows:
        counted[risk, verb, "in bulk" if bulk else "one by one"] += 1
    for (risk, verb, how), count in sorted(counted.items()):
        yield {"risk": risk, "verb": verb, "how": how, "answers": count}


def configuration(campaign: Campaign) -> Iterator[Row]:
    """Every change to Mandate's own rules and rights between the beginning and the end of the campaign."""
    rows = Event.objects.filter(at__gte=campaign.snapshot_at, at__lte=campaign.closed_at or clock.now())
    for event in rows.order_by("at", "sequence"):
        if str(event.action).startswith(CONFIGURATION):
            yield {
                "at": utc(event.at),
                "event": str(event.uuid),
                "action": str(event.action),
                "actor": event.actor,
                "links": list(event.links),
                "reason": event.reason,
            }


TABLES: Final[dict[str, Callable[[Campaign], Iterator[Row]]]] = {
    "03_population": population,
    "03_late_arrivals": late_arrivals,
    "04_assignments": assignments,
    "05_items": items,
    "05_decisions": decisions,
    "05_history": history,
    "05_unanswered": unanswered,
    "06_remediation": remediation,
    "07_exceptions": exceptions,
    "08_notifications": notifications,
    "09_quality": quality,
    "11_config_changes": configuration,
}


def control_totals(rows: list[Row]) -> dict[str, dict[str, int]]:
    """Count the population by what an auditor compares with other lists."""
    payloads = [json.loads(row["payload"]) for row in rows]
    return {
        field: dict(sorted(Counter(str(payload[field]) for payload in payloads).items()))
        for field in ("system", "sponsor", "entitlement", "state")
    }
