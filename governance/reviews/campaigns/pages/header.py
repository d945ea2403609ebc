"""The head of every page of a review: its title and facts, what the person may do now, and its tabs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from audit import clock
from governance.console import doors
from governance.console.kit.components import Tab
from governance.reviews.campaigns.models import Campaign
from governance.reviews.campaigns.queries import campaigns as read
from governance.reviews.campaigns.queries.campaigns import Part
from governance.reviews.items import tallies
from governance.reviews.items import visibility as visibility_actions
from governance.reviews.spot_checks.models import SpotCheckPlan
from governance.reviews.staging.queries import launch
from governance.reviews.workbench.queries import rows as item_rows

from .campaigns import may


@dataclass(frozen=True, slots=True)
class ReviewHeader:
    """What the head of a review's pages shows.

    `items`, `to_decide` and `reviewers` are counts for the tabs; `waits` is how many items wait for the person.
    `sees_all` says whether the person sees the reviewers and settings: its owner, and people who read its evidence.
    `launch` is what launching needs before the review has begun.
    """

    campaign: Campaign
    tab: str
    parts: list[Part]
    answered: int
    reviewers: int
    waits: int
    has_decided: bool
    sees_all: bool
    is_owner: bool
    may_run: bool
    may_evidence: bool
    plan: SpotCheckPlan | None
    launch: dict[str, Any] = field(default_factory=dict)

    @property
    def tabs(self) -> list[Tab]:
        """The tabs that the person may open, with their counts."""
        is_staged, named = self.campaign.snapshot_at is not None, (self.campaign.slug,)
        tabs = (
            (True, "overview", "review-page", _("Overview"), None),
            (is_staged, "items", "review-items", _("Items"), self.items),
            (is_staged and self.sees_all, "reviewers", "review-reviewers", _("Reviewers"), self.reviewers),
            (self.may_evidence and self.has_begun, "evidence", "review-evidence", _("Evidence"), None),
            (self.sees_all, "settings", "review-settings", _("Settings"), None),
        )
        return [
            Tab(label, reverse(page, args=named), self.tab == name, count)
            for is_shown, name, page, label, count in tabs
            if is_shown
        ]

    @property
    def items(self) -> int:
        """How many items it has."""
        return sum(part.count for part in self.parts)

    @property
    def to_decide(self) -> int:
        """How many items have no outcome yet."""
        return self.parts[-1].count

    @property
    def has_begun(self) -> bool:
        """Whether reviewers were asked."""
        return self.campaign.state in Campaign.BEGAN

    @property
    def may_close(self) -> bool:
        """Whether the person may close it now."""
        return self.may_run and self.campaign.state == Campaign.State.ACTIVE

    @property
    def close_tone(self) -> str:
        """How the button that closes it weighs: it is what to do next once all items are decided."""
        return "" if self.to_decide or self.waits else "primary"

    @property
    def may_launch(self) -> bool:
        """Whether the person may launch it now: it is staged and fresh, or small enough to be staged on the way."""
        is_ready = self.campaign.state == Campaign.State.STAGED and not self.launch.get("is_stale")
        return self.may_stage and (is_ready or bool(self.launch.get("small")))

    @property
    def may_stage(self) -> bool:
        """Whether the person may stage it now, or stage it again."""
        is_before = self.campaign.state in (Campaign.State.DRAFT, Campaign.State.STAGED)
        return self.may_run and is_before and not self.launch.get("is_overdue")


def context(request: HttpRequest, campaign: Campaign, tab: str) -> dict[str, Any]:
    """Return what the head of a page of a review needs; with `?differ` it counts what changed since the staging."""
    person, parts = doors.person(request), read.progress(campaign)
    reads_evidence = may(request, "campaign-evidence", "GET")
    sees_all = reads_evidence or campaign.owner == person
    is_before = campaign.state in Campaign.BEFORE
    head = ReviewHeader(
        campaign=campaign,
        tab=tab,
        parts=parts,
        answered=read.answered(parts),
        reviewers=len([row for row in tallies.reviewers(campaign) if row["reviewer"]]) if sees_all else 0,
        waits=visibility_actions.waiting_for(person).filter(item__campaign=campaign).count(),
        has_decided=item_rows.assigned(campaign, person).exists(),
        sees_all=sees_all,
        is_owner=campaign.owner == person,
        may_run=may(request, "campaign-close"),
        may_evidence=reads_evidence or visibility_actions.shared_with(person, campaign),
        plan=SpotCheckPlan.objects.filter(campaign=campaign).first(),
        launch=launch.context(campaign, count="differ" in request.GET) if is_before else {},
    )
    return {"campaign": campaign, "person": person, "head": head, "now": clock.now()}
