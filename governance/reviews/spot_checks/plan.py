"""Spot checks: switched on while a review is under way, and drawn when it ends, so that no answer changes afterwards.

A share of the kept items is drawn by a seed that is fixed when spot checks are switched on and shown when they are
drawn: its digest is in the audit log before the answers are known. The same share of the other items is drawn, so that
a check does not reveal the answer.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.errors import DomainError
from entitlements.people.models import Person
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.errors import NotUnderWay
from governance.reviews.pack_check import verify
from governance.reviews.population import campaigns
from governance.reviews.reviewers import checkers
from governance.reviews.spot_checks.models import SpotCheck, SpotCheckPlan

SHARE: Final = 10
"""The default percentage of answers that are drawn."""
DAYS: Final = 7
LONGEST: Final = 28
"""The days to answer, by default and at most."""
_OPEN: Final = (*Campaign.BEFORE, Campaign.State.ACTIVE, Campaign.State.PAUSED)


class BadSpotChecks(DomainError):
    """Spot checks need a share from 1 to 100 per cent and 1 to 28 days. An event-triggered review cannot have them."""

    code, status = "spot_checks_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class SpotChecksOn(DomainError):
    """The review already has spot checks, and their settings cannot be changed."""

    code, status = "spot_checks_on", HTTPStatus.CONFLICT


@transaction.atomic
def switch_on(
    campaign_id: UUID, *, by: Person, share: int = SHARE, days: int = DAYS, reason: str = ""
) -> SpotCheckPlan:
    """Have some answers of a review checked once it ends; until then only the digest of the seed is shown.

    Raises NotFound, BadSpotChecks, NotUnderWay (it has ended), SpotChecksOn.
    """
    campaign = campaigns.locked(campaign_id)
    check(share, days, campaign.kind)
    if campaign.state not in _OPEN:
        raise NotUnderWay
    if SpotCheckPlan.objects.filter(campaign=campaign).exists():
        raise SpotChecksOn
    seed = secrets.token_hex(32)
    plan = SpotCheckPlan.objects.create(
        campaign=campaign,
        share=share,
        days=days,
        seed=seed,
        seed_sha256=hashlib.sha256(seed.encode()).hexdigest(),
        made_by=by,
        made_at=clock.now(),
    )
    detail = {"share": share, "days": days, "seed_sha256": plan.seed_sha256}
    log.record(
        Action.CAMPAIGN_SPOT_CHECKS_ON, about=campaigns.about(campaign), by=by.principal, reason=reason, detail=detail
    )
    return plan


def check(share: int, days: int, kind: str) -> None:
    """Raise BadSpotChecks where a review of this kind cannot have such spot checks."""
    if not (1 <= share <= 100 and 1 <= days <= LONGEST) or kind == Campaign.Kind.MICRO:  # noqa: PLR2004 - per cent
        raise BadSpotChecks


def may_begin(campaign: Campaign) -> bool:
    """Whether spot checks can be switched on for a review."""
    return campaign.state in _OPEN and campaign.kind != Campaign.Kind.MICRO


def pick(plan: SpotCheckPlan) -> tuple[int, dict[int, UUID]]:
    """Pick the items to check; return the number of answers, and the items in the order of their numbers.

    Picks the same as `verify.asked_again`, which repeats the draw from a pack, but by one statement that reads only the
    picked items.
    """
    parameters: dict[str, Any] = {
        "campaign": plan.campaign_id,
        "seed": f"{plan.seed}:",
        "share": plan.share,
        "most": verify.MOST_CHECKED,
    }
    with connection.cursor() as cursor:
        cursor.execute(_PICKED, parameters)
        rows = cursor.fetchall()
    return rows[0][0] if rows else 0, {number: item for _frame, number, item in sorted(rows)}


_PICKED: Final = """
WITH answered AS (
    SELECT i.id, i.number, d.verb = 'certify' AS kept,
           sha256(convert_to(%(seed)s || i.number, 'UTF8')) AS digest
    FROM governance_reviewitem i JOIN governance_reviewdecision d ON d.id = i.current_decision_id
    WHERE i.campaign_id = %(campaign)s
), placed AS (
    SELECT id, number, digest, count(*) OVER () AS frame,
           row_number() OVER (PARTITION BY kept ORDER BY digest) AS place, count(*) OVER (PARTITION BY kept) AS alike
    FROM answered
)
SELECT frame, number, id FROM placed
WHERE place <= (alike * %(share)s + 99) / 100
ORDER BY digest LIMIT %(most)s
"""


def draw(campaign: Campaign, *, by: Principal) -> None:
    """Draw the spot checks of a closing review, where it has some, and assign a checker to each.

    The caller holds the campaign's lock. Each check stores its checker, or that no person is independent enough.
    """
    plan = SpotCheckPlan.objects.select_for_update(of=("self",)).filter(campaign=campaign, drawn_at=None).first()
    if plan is None:
        return
    frame, picked = pick(plan)
    now = clock.now()
    plan.drawn_at, plan.due_at, plan.frame = now, now + timedelta(days=plan.days), frame
    plan.save(update_fields=["drawn_at", "due_at", "frame"])
    items = list(picked.values())
    people_by_login, load = dict[str, Person](), Counter[str]()
    checks = [
        SpotCheck(plan=plan, item_id=item, checker=who, resolution=evidence, asked_at=now)
        for item, who, evidence in checkers.find(items, load=load, cap=campaign.load_cap, known=people_by_login, at=now)
    ]
    SpotCheck.objects.bulk_create(checks)
    detail = {
        "seed": plan.seed,
        "seed_sha256": plan.seed_sha256,
        "share": plan.share,
        "frame": plan.frame,
        "items": list(picked),
        "nobody": sum(check.checker is None for check in checks),
        "due_at": plan.due_at.isoformat(),
    }
    log.record(Action.CAMPAIGN_SPOT_CHECKS_DRAWN, about=campaigns.about(campaign), by=by, detail=detail)
