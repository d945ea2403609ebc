"""The pages above a page of a review."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext as _

from governance.console.kit.components import Crumb
from governance.reviews.campaigns.models import Campaign


def crumbs(campaign: Campaign, *, within_workbench: bool = False) -> list[Crumb]:
    """Return the list of reviews, the review, and the workbench for the pages that belong to it."""
    above = [
        Crumb(reverse("review-list"), _("Access reviews")),
        Crumb(reverse("review-page", args=[campaign.slug]), campaign.name),
    ]
    if within_workbench:
        above.append(Crumb(reverse("review-work", args=[campaign.slug]), _("Workbench")))
    return above
