"""Drafting a campaign, and locking and saving one. `staging.launch` stages and begins it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import chain, clock, log
from audit.actions import Action
from entitlements.errors import NotFound
from entitlements.people.models import Person
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import review_rules
from governance.reviews.items.errors import BadCampaignOptions, DueTooLate, DueTooSoon, NameTaken
from governance.reviews.items.models import ReviewItem
from governance.reviews.reviewers import fallback
from governance.reviews.reviewers.models import Assignment
from governance.reviews.templates.models import CampaignTemplate

from . import other_subjects, scopes

_CARRYING: Final = (Campaign.Kind.AGENT_OWNER, Campaign.Kind.RESOURCE_OWNER, Campaign.Kind.PRIVILEGED_TOOLS)
"""The kinds of which answers may be carried forward; the others ask everything each time."""


@dataclass(frozen=True, slots=True)
class CampaignOptions:
    """The options of a campaign: its kind, its mode, and for how many days an answer is carried forward.

    Under SOX no answer is carried forward; under PCI DSS one may be half a year old. `strategies` says by risk level
    how many people answer. `fallback_group`, then the owner if `asks_owner`, review items without a reviewer.
    """

    kind: str = Campaign.Kind.AGENT_OWNER
    mode: str = Campaign.Mode.FULL
    framework: str = Campaign.Framework.NONE
    carry_days: int = 0
    strategies: Mapping[str, str] = field(default_factory=dict)
    fallback_group: str = ""
    asks_owner: bool = False

    @classmethod
    def of(cls, held: Campaign | CampaignTemplate) -> Self:
        """Return the options of a campaign or a template."""
        group = held.fallback_group.slug if held.fallback_group else ""
        return cls(held.kind, held.mode, held.framework, held.carry_days, held.strategies, group, held.asks_owner)

    def columns(self) -> dict[str, Any]:
        """Return the options as columns of a campaign or a template. Raises FallbackUnfit."""
        return {**asdict(self), "fallback_group": fallback.fit(self.fallback_group)}

    def check(self) -> None:
        """Raise BadCampaignOptions for unknown options, FallbackUnfit for a group that cannot review."""
        most = {Campaign.Framework.NONE: 366, Campaign.Framework.PCI: 183, Campaign.Framework.SOX: 0}
        known = self.kind in Campaign.Kind and self.mode in Campaign.Mode and self.framework in Campaign.Framework
        longest = most[Campaign.Framework(self.framework)] if known else 0
        delta = self.kind in _CARRYING and 0 < self.carry_days <= longest
        fits = delta if self.mode == Campaign.Mode.DELTA else self.carry_days == 0
        if not known or not fits:
            raise BadCampaignOptions(carry_days_at_most=longest)
        if not review_rules.may_choose(self.strategies):
            raise BadCampaignOptions(field="strategies")
        fallback.fit(self.fallback_group)


FULL: Final = CampaignOptions()
LONGEST: Final = timedelta(days=366)
"""How far in the future the due date of a new campaign is at most."""


def about(campaign: Campaign) -> list[str]:
    """Return the links of a campaign in the audit log."""
    return [f"campaign:{campaign.slug}", f"person:{campaign.owner.login}"]


@transaction.atomic
def make(
    slug: str,
    *,
    name: str,
    due_at: datetime,
    scope: Mapping[str, Any] | None = None,
    options: CampaignOptions = FULL,
    by: Person,
    reason: str = "",
) -> Campaign:
    """Draft a campaign over all access in force, or over a scope (`scopes`).

    Raises NameTaken, BadScope, BadCampaignOptions, FallbackUnfit, DueTooSoon, DueTooLate.
    """
    now = clock.now()
    if due_at <= now:
        raise DueTooSoon
    if due_at > now + LONGEST:
        raise DueTooLate
    checked = scopes.check(scope or {})
    options.check()
    other_subjects.check(checked, options.kind)
    try:
        with transaction.atomic():
            campaign = Campaign.objects.create(
                slug=slug,
                name=name,
                **{**options.columns(), "strategies": review_rules.strategies(options.strategies)},
                owner=by,
                scope=checked,
                scope_sha256=hashlib.sha256(chain.canonical(checked)).hexdigest(),
                due_at=due_at,
                created_at=now,
            )
    except IntegrityError as error:
        raise NameTaken from error
    log.record(
        Action.CAMPAIGN_MADE,
        about=about(campaign),
        by=by.principal,
        reason=reason,
        detail={"name": name, **asdict(CampaignOptions.of(campaign)), "scope": checked, "due_at": due_at.isoformat()},
    )
    return campaign


def locked(campaign_id: UUID) -> Campaign:
    """Lock a campaign. Raises NotFound."""
    campaign = Campaign.objects.select_for_update(of=("self",)).select_related("owner").filter(pk=campaign_id).first()
    if campaign is None:
        raise NotFound
    return campaign


def save(campaign: Campaign, **fields: object) -> None:
    """Save these fields of a locked campaign."""
    for name, value in fields.items():
        setattr(campaign, name, value)
    campaign.version += 1
    campaign.save(update_fields=[*fields, "version"])


def unresolved(campaign: Campaign) -> int:
    """Count the unassigned open items."""
    return Assignment.objects.filter(
        item__campaign=campaign, item__state=ReviewItem.State.IN_REVIEW, state=Assignment.State.ASSIGNED, reviewer=None
    ).count()
