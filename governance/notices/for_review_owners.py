"""What those are told who run reviews: what waits for their word, what could not be proven, what nobody answers."""

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

from .audience import Teller, Told, key


def _campaign(event: Event) -> Campaign | None:
    return Campaign.objects.select_related("owner").filter(slug=key(event, "campaign")).first()


def _held(event: Event) -> Iterator[Told]:
    """Tell at once whoever runs a review that more would stop than stops without a word, and that nothing does yet."""
    if (campaign := _campaign(event)) is None:
        return
    count = int(event.detail.get("grants", 0))
    said = ngettext(
        "%(n)d access would stop because nobody answered in %(review)s. It waits for your word.",
        "%(n)d accesses would stop because nobody answered in %(review)s. They wait for your word.",
        count,
    )
    told = said % {"n": count, "review": campaign.name}
    yield Told(Kind.REVIEW_WAITING, [campaign.owner], _about(campaign), told, _page(campaign), urgent=True)


def _not_proven(event: Event) -> Iterator[Told]:
    """Tell whoever runs a review and security, once, that what was cut may still work."""
    name = key(event, "item")
    item = ReviewItem.objects.select_related("campaign__owner").filter(pk=name).first() if name != "-" else None
    if item is None:
        return
    yield Told(
        Kind.REVIEW_WAITING,
        [item.campaign.owner, *Person.objects.holding(Role.SECURITY)],
        _about(item.campaign),
        _("A removal could not be proven, so it may still work: %(name)s.") % {"name": item.name},
        f"/reviews/{item.campaign.slug}/items/{item.pk}/",
        urgent=True,
        dedupe=f"decision {key(event, 'decision')} not proven",
    )


def left_to_nobody(event: Event) -> Iterator[Told]:
    """Tell whoever runs a review, once a day, that somebody's place was taken by nobody."""
    if event.detail.get("to") is not None or (campaign := _campaign(event)) is None:
        return
    said = _("Nobody is left to answer some of %(review)s: name somebody.") % {"review": campaign.name}
    dedupe = f"campaign {campaign.slug} left to nobody {event.at:%Y-%m-%d}"
    yield Told(Kind.REVIEW_WAITING, [campaign.owner], _about(campaign), said, _page(campaign), dedupe=dedupe)


def _about(campaign: Campaign) -> str:
    return f"campaign:{campaign.slug}"


def _page(campaign: Campaign) -> str:
    return f"/reviews/{campaign.slug}/"


def _spot_checks(event: Event) -> Iterator[Told]:
    """Tell whoever is asked to check answers of a review; what was answered is not for her to know."""
    if (campaign := _campaign(event)) is None:
        return
    asked = Person.objects.filter(spot_checks__plan=campaign.pk, spot_checks__answered_at=None).distinct()
    said = _("You are asked to check some answers of a review, without knowing them: %(review)s.")
    yield Told(Kind.REVIEW_WAITING, asked, _about(campaign), said % {"review": campaign.name}, "/spot-checks/")


def _spot_check_passed_on(event: Event) -> Iterator[Told]:
    """Tell who checks now, once a day; where that is nobody, whoever runs the review."""
    if (campaign := _campaign(event)) is None:
        return
    to, day = event.detail.get("to"), f"{event.at:%Y-%m-%d}"
    if to is not None:
        asked = Person.objects.filter(login=to)
        said = _("You are asked to check some answers of a review, without knowing them: %(review)s.")
        dedupe = f"spot checks of {campaign.slug} passed on {day}"
        told = said % {"review": campaign.name}
        yield Told(Kind.REVIEW_WAITING, asked, _about(campaign), told, "/spot-checks/", dedupe=dedupe)
        return
    said = _(
        "Nobody is left to check some answers of %(review)s: who checked them left, or is not independent any more."
    )
    dedupe = f"spot checks of {campaign.slug} left to nobody {day}"
    told = said % {"review": campaign.name}
    page = f"{_page(campaign)}#spot-checks"
    yield Told(Kind.REVIEW_WAITING, [campaign.owner], _about(campaign), told, page, dedupe=dedupe)


def _spot_checked(event: Event) -> Iterator[Told]:
    """Tell whoever runs a review, once, that somebody would have taken more away than was answered."""
    campaign = _campaign(event)
    if campaign is None or not SpotCheck.to_follow_up().filter(plan=campaign.pk).exists():
        return
    said = _("A spot check would take more away than was answered in %(review)s: see whether to ask again.")
    dedupe = f"spot checks of {campaign.slug} disagree"
    told = said % {"review": campaign.name}
    yield Told(Kind.REVIEW_WAITING, [campaign.owner], _about(campaign), told, _page(campaign), dedupe=dedupe)


TELLERS: Final[Mapping[Action, Teller]] = {
    Action.REVIEW_DEADLINE_HELD: _held,
    Action.CAMPAIGN_SPOT_CHECKS_DRAWN: _spot_checks,
    Action.SPOT_CHECK_ANSWERED: _spot_checked,
    Action.SPOT_CHECK_REASSIGNED: _spot_check_passed_on,
    Action.REMOVAL_FAILED: _not_proven,
}
