"""Notices for the owners of access reviews: held deadlines, failed verifications, missing reviewers, spot checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from audit.actions import Action
from audit.models import Event
from entitlements.people.models import Person, Role
from governance.notices.models import Kind
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.models import ReviewItem
from governance.reviews.spot_checks.models import SpotCheck

from .audience import Message, Notifier, key


def _campaign(event: Event) -> Campaign | None:
    return Campaign.objects.select_related("owner").filter(slug=key(event, "campaign")).first()


def _held(event: Event) -> Iterator[Message]:
    """Tell the owner of a review at once that a deadline would stop too much access, and waits for their decision."""
    if (campaign := _campaign(event)) is None:
        return
    count = event.detail.count("grants")
    text = ngettext(
        "%(n)d access would stop because no reviewer answered in %(review)s. It waits for your decision.",
        "%(n)d accesses would stop because no reviewer answered in %(review)s. They wait for your decision.",
        count,
    )
    sentence = text % {"n": count, "review": campaign.name}
    about, page = _about(campaign), _page(campaign)
    yield Message(Kind.REVIEW_WAITING, [campaign.owner], about, sentence, page, urgent=True, waits=True)


def _not_proven(event: Event) -> Iterator[Message]:
    """Tell the owner of a review and security, once, that access which was removed may still work."""
    item = ReviewItem.objects.select_related("campaign__owner").filter(pk=event.key_uuid("item")).first()
    if item is None:
        return
    yield Message(
        Kind.REVIEW_WAITING,
        [item.campaign.owner, *Person.objects.holding(Role.SECURITY)],
        _about(item.campaign),
        _("The remediation of %(name)s failed its verification. The access may still work.") % {"name": item.name},
        f"/reviews/{item.campaign.slug}/items/{item.pk}/",
        urgent=True,
        dedupe=f"decision {key(event, 'decision')} not proven",
    )


def reviewer_missing(event: Event) -> Iterator[Message]:
    """Tell the owner of a review, once a day, that a reviewer left and no other was found."""
    if event.detail.text("to") or (campaign := _campaign(event)) is None:
        return
    sentence = _("%(review)s has unassigned items. Assign a reviewer.") % {"review": campaign.name}
    dedupe = f"campaign {campaign.slug} left to nobody {event.at:%Y-%m-%d}"
    yield Message(Kind.REVIEW_WAITING, [campaign.owner], _about(campaign), sentence, _page(campaign), dedupe=dedupe)


def _about(campaign: Campaign) -> str:
    return f"campaign:{campaign.slug}"


def _page(campaign: Campaign) -> str:
    return f"/reviews/{campaign.slug}/"


def _spot_checks(event: Event) -> Iterator[Message]:
    """Tell the checkers of a review that spot checks wait for them; they must not learn the first decisions."""
    if (campaign := _campaign(event)) is None:
        return
    checkers = Person.objects.filter(spot_checks__plan=campaign.pk, spot_checks__answered_at=None).distinct()
    sentence = _("Spot checks of %(review)s are assigned to you.") % {"review": campaign.name}
    yield Message(Kind.REVIEW_WAITING, checkers, _about(campaign), sentence, "/spot-checks/", waits=True)


def _spot_checked(event: Event) -> Iterator[Message]:
    """Tell the owner of a review, once, that a checker would have removed more than the reviewer did."""
    campaign = _campaign(event)
    if campaign is None or not SpotCheck.to_follow_up().filter(plan=campaign.pk).exists():
        return
    text = _(
        "A spot check of %(review)s disagrees with a decision. Start an event-triggered review, or leave the decision."
    )
    dedupe = f"spot checks of {campaign.slug} disagree"
    sentence = text % {"review": campaign.name}
    yield Message(Kind.REVIEW_WAITING, [campaign.owner], _about(campaign), sentence, _page(campaign), dedupe=dedupe)


NOTIFIERS: Final[Mapping[Action, Notifier]] = {
    Action.REVIEW_DEADLINE_HELD: _held,
    Action.CAMPAIGN_SPOT_CHECKS_DRAWN: _spot_checks,
    Action.SPOT_CHECK_ANSWERED: _spot_checked,
    Action.REMEDIATION_FAILED: _not_proven,
}
