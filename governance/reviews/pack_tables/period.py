"""The tables around a review: notices to reviewers; over its whole period leavers, rule changes and tickets.

The period of a review ends when it is closed. It begins where the last closed review of its kind ended that covered at
least as much: with the same scope or none, or of the same template. So a partial review never shortens the period of
the next full one. Event-triggered reviews follow one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from django.db.models import Q, QuerySet

from audit import clock
from audit.actions import Action
from audit.models import Event
from governance.notices.models import Notice
from governance.reviews.campaigns.models import Campaign

from .tables import Row, Table, utc

BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RULES: Final = (
    "agent.backup_changed",
    "agent.criticality_",
    "agent.owner_changed",
    "agent.sponsor_changed",
    "api_token.",
    "approval_policy.",
    "auto_approval_rule.",
    "campaign.",
    "campaign_template.",
    "catalog.",
    "entitlement.",
    "evidence.share",
    "group.",
    "group_mapping.",
    "import.",
    "issuer.",
    "key.",
    "key_encryption_key.",
    "out_of_office.",
    "path.",
    "people_file.",
    "people_source.",
    "person.address_",
    "person.identity_",
    "person.role",
    "secret.",
    "setup.",
    "sod_exception.",
    "sod_policy.",
    "system.",
    "ticket_policy.",
    "tool.approved",
    "tool.disabled",
    "tool.enabled",
    "webhook.",
)
"""The events that change a rule or a right in Mandate itself: also ownership, the risk level of a tool (which sets how
many people decide), the trusted identity providers, and shares of evidence."""
CONFIGURATION: Final = [str(action) for action in Action if action.startswith(_RULES)]
_TICKETED: Final = [
    Action.REQUEST_SUBMITTED,
    Action.SOD_EXCEPTION_GIVEN,
    Action.BREAK_GLASS_DECLARED,
    Action.REVOCATION_COMMITTED,
]
_STOPPED: Final = [
    Action.AGENT_RETIRED,
    Action.AGENT_SUSPENDED,
    Action.CLIENT_DISABLED,
    Action.CLIENT_ROTATION_REVOKED,
    Action.CONNECTED_ACCOUNT_ENDED,
    Action.CONNECTION_ENDED,
    Action.CONNECTOR_REVOKED,
    Action.DELEGATION_WITHDRAWN,
    Action.GRANT_REVOKED,
    Action.GRANT_SUSPENDED,
    Action.PERSON_DISABLED,
    Action.SESSION_ENDED,
    Action.SYSTEM_DISABLED,
    Action.TOKEN_FAMILY_REVOKED,
    Action.TOKEN_REVOKED,
    Action.TOOL_DISABLED,
    Action.TOOL_QUARANTINED,
    Action.WORKLOAD_RULE_ENDED,
]
"""What suspends or revokes without a receipt: listed where a ticket was asked for, so that its detail names one."""
_NAMES_TICKET: Final = '"ticket":'
"""What a body with that key holds. A quote within a text is escaped, so no text looks like it."""
_LEAVING: Final = [Action.PERSON_REMOVAL_HELD, Action.PEOPLE_SOURCE_REMOVALS_REFUSED, Action.PERSON_DISABLED]


def bounds(campaign: Campaign) -> tuple[datetime, datetime]:
    """Return the period of a campaign; the first that covers so much begins with the audit log."""
    before = Campaign.objects.filter(kind=campaign.kind, closed_at__lte=campaign.snapshot_at).exclude(pk=campaign.pk)
    if campaign.kind != Campaign.Kind.MICRO:
        as_much = Q(scope_sha256=campaign.scope_sha256) | Q(scope={})
        before = before.filter(as_much | Q(template=campaign.template) if campaign.template_id else as_much)
    last = before.order_by("-closed_at").values_list("closed_at", flat=True).first()
    return last or BEGINNING, campaign.closed_at or clock.now()


def _within(campaign: Campaign, actions: Iterable[str]) -> QuerySet[Event]:
    since, until = bounds(campaign)
    return Event.objects.filter(action__in=list(actions), at__gt=since, at__lte=until).order_by("at", "sequence")


def _notifications(campaign: Campaign) -> QuerySet[Notice]:
    rows = Notice.objects.filter(Q(url__startswith=f"/reviews/{campaign.slug}/") | Q(about=f"campaign:{campaign.slug}"))
    return rows.select_related("person__notice_settings", "delivery").order_by("made_at", "pk")


def notifications(rows: Iterable[Notice]) -> Iterator[Row]:
    """The notices to reviewers, whether the mail was accepted, and whether their address bounced."""
    for row in rows:
        sent, settings = row.delivery, getattr(row.person, "notice_settings", None)
        yield {
            "person": row.person.login,
            "kind": row.kind,
            "told_at": utc(row.made_at),
            "read_at": utc(row.read_at),
            "mail": sent.state if sent else "",
            "mailed_at": utc(sent.sent_at if sent else None),
            "attempts": sent.attempts if sent else 0,
            "answer": sent.answer if sent else "",
            "address_bounced": bool(settings and settings.bad_address and settings.bad_address == row.person.email),
        }


def _configuration(campaign: Campaign) -> QuerySet[Event]:
    return _within(campaign, CONFIGURATION)


def configuration(rows: Iterable[Event]) -> Iterator[Row]:
    """Every change to Mandate's own rules and rights over the whole period."""
    for event in rows:
        yield {
            "at": utc(event.at),
            "event": str(event.uuid),
            "action": str(event.action),
            "actor": event.actor,
            "links": list(event.about),
            "reason": event.reason,
            "detail": event.detail,
        }


def _tickets(campaign: Campaign) -> QuerySet[Event]:
    return named_tickets(_within(campaign, [*_TICKETED, *_STOPPED]))


def named_tickets(rows: QuerySet[Event]) -> QuerySet[Event]:
    """Return what has a receipt or a row of its own, and of the others those for which a ticket was asked."""
    return rows.filter(Q(action__in=_TICKETED) | Q(action__in=_STOPPED, body__contains=_NAMES_TICKET))


def tickets(rows: Iterable[Event]) -> Iterator[Row]:
    """Each request, SoD exception, break-glass access and revocation of the period, with its ticket; empty for none.

    Where a ticket is asked for, also what was suspended or revoked without a receipt, and what ended with it.
    """
    for event in rows:
        yield {
            "at": utc(event.at),
            "event": str(event.uuid),
            "action": str(event.action),
            "actor": event.actor,
            "ticket": event.detail.text("ticket"),
            "links": list(event.about),
        }


def _leavers(campaign: Campaign) -> QuerySet[Event]:
    return _within(campaign, _LEAVING)


def leavers(rows: Iterable[Event]) -> Iterator[Row]:
    """Each person disabled in the period: when the removal was first reported, when it was done, and the time between.

    A person whom a directory removes is disabled in the same transaction, unless so many were removed at once that an
    administrator had to confirm: then the time counts from when the removal was held.
    """
    held: dict[str, tuple[datetime, str]] = {}
    for event in rows:
        person = next((link for link in event.about if link.startswith("person:")), "")
        source = next((link for link in event.about if link.startswith("source:")), "")
        if event.action == Action.PERSON_REMOVAL_HELD:
            held[person] = (event.at, source)
        elif event.action == Action.PEOPLE_SOURCE_REMOVALS_REFUSED:
            held = {name: entry for name, entry in held.items() if entry[1] != source}
        else:
            first_at, _ = held.pop(person, (event.at, ""))
            yield {
                "person": person.removeprefix("person:"),
                "told_at": utc(first_at),
                "disabled_at": utc(event.at),
                "seconds": round((event.at - first_at).total_seconds(), 3),
                "by": event.actor,
                "reason": event.reason,
                "event": str(event.uuid),
            }


TABLES: Final = {
    "08_notifications": Table(_notifications, notifications, ("kind", "mail", "address_bounced")),
    "11_config_changes": Table(_configuration, configuration, ("action",)),
    "11_leavers": Table(_leavers, leavers, ("by",), "person:{person}"),
    "11_tickets": Table(_tickets, tickets, ("action",)),
}
