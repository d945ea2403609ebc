"""The tables of what went on around a review: what people were told, and, over its whole period, leavers and rules.

The period of a review ends when it was closed. It begins where that of the last closed one of its kind ended that
looked at no less: with the same scope or none, or as an earlier one of its own template. So no review of a part cuts
short what the next one of the whole has to tell. Small reviews, of one thing each, follow upon one another.
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
    "agent.criticality_",
    "agent.backup_changed",
    "agent.owner_changed",
    "agent.sponsor_changed",
    "api_token.",
    "approval_policy.",
    "approval_rule.",
    "campaign.",
    "campaign_template.",
    "catalogue.",
    "combination_exception.",
    "combination_rule.",
    "delegation.",
    "entitlement.",
    "evidence.share",
    "group.",
    "import.",
    "issuer.",
    "key.",
    "key_encryption_key.",
    "path.",
    "people_file.",
    "people_source.",
    "person.address_",
    "person.identity_",
    "person.role",
    "role_mapping.",
    "secret.",
    "setup.",
    "system.",
    "tool.approved",
    "tool.disabled",
    "tool.enabled",
    "webhook.",
)
"""Of what the record says that a rule or a right in Mandate itself changed: also who answers for what, how a tool is
classed (so how many people answer for it), whose word is taken for who signs in, and who is let see evidence."""
CONFIGURATION: Final = [str(action) for action in Action if action.startswith(_RULES)]
_LEAVING: Final = [Action.PERSON_REMOVAL_HELD, Action.PEOPLE_SOURCE_REMOVALS_REFUSED, Action.PERSON_DISABLED]


def of(campaign: Campaign) -> tuple[datetime, datetime]:
    """Return the period of a campaign; the first that looked at so much begins with the record."""
    before = Campaign.objects.filter(kind=campaign.kind, closed_at__lte=campaign.snapshot_at).exclude(pk=campaign.pk)
    if campaign.kind != Campaign.Kind.MICRO:
        same = Q(scope_sha256=campaign.scope_sha256) | Q(scope={})
        before = before.filter(same | Q(template=campaign.template) if campaign.template_id else same)
    last = before.order_by("-closed_at").values_list("closed_at", flat=True).first()
    return last or BEGINNING, campaign.closed_at or clock.now()


def _within(campaign: Campaign, actions: Iterable[str]) -> QuerySet[Event]:
    since, until = of(campaign)
    return Event.objects.filter(action__in=list(actions), at__gt=since, at__lte=until).order_by("at", "sequence")


def _notifications(campaign: Campaign) -> QuerySet[Notice]:
    rows = Notice.objects.filter(Q(url__startswith=f"/reviews/{campaign.slug}/") | Q(about=f"campaign:{campaign.slug}"))
    return rows.select_related("person__notice_settings", "delivery").order_by("made_at", "pk")


def notifications(rows: Iterable[Notice]) -> Iterator[Row]:
    """What reviewers were told of it, whether the mail was taken, and whether their address is known not to exist."""
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


def _leavers(campaign: Campaign) -> QuerySet[Event]:
    return _within(campaign, _LEAVING)


def leavers(rows: Iterable[Event]) -> Iterator[Row]:
    """Everybody who was shut out over the period: when it was first said, when it was done, and the time between.

    A person whom a directory removes is out in the same transaction, unless so many were removed at once that a person
    had to look first: then the time is counted from when the removal was held.
    """
    held: dict[str, tuple[datetime, str]] = {}
    for event in rows:
        who = next((link for link in event.about if link.startswith("person:")), "")
        source = next((link for link in event.about if link.startswith("source:")), "")
        if event.action == Action.PERSON_REMOVAL_HELD:
            held[who] = (event.at, source)
        elif event.action == Action.PEOPLE_SOURCE_REMOVALS_REFUSED:
            held = {each: told for each, told in held.items() if told[1] != source}
        else:
            told, _ = held.pop(who, (event.at, ""))
            yield {
                "person": who.removeprefix("person:"),
                "told_at": utc(told),
                "disabled_at": utc(event.at),
                "seconds": round((event.at - told).total_seconds(), 3),
                "by": event.actor,
                "reason": event.reason,
                "event": str(event.uuid),
            }


TABLES: Final = {
    "08_notifications": Table(_notifications, notifications, ("kind", "mail", "address_bounced")),
    "11_config_changes": Table(_configuration, configuration, ("action",)),
    "11_leavers": Table(_leavers, leavers, ("by",), "person:{person}"),
}
