"""Replaces a checker who left or is no longer independent, until the spot check is due.

It follows the same chain as for reviewers; where no one is left the check has no checker. The history is kept.
"""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Count

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from governance.conflicts_of_interest.rules import Reason
from governance.reviews.items import item_links
from governance.reviews.reviewers import checkers
from governance.reviews.spot_checks.models import SpotCheck, SpotCheckPlan


def replace_checkers(*, login: str | None = None) -> int:
    """Replace the checker (`who`, or any) of each open check who may not check it any more; return how many changed."""
    changed = 0
    for plan in SpotCheckPlan.objects.filter(due_at__gt=clock.now()).select_related("campaign").order_by("due_at"):
        rows = SpotCheck.objects.filter(plan=plan, answered_at=None, checker__isnull=False)
        rows = rows.filter(checker__login=login) if login else rows
        checks = list(rows.select_related("checker").order_by("item__number"))
        changed += sum(_replace(plan, check.pk) for check, _why in list(checkers.unfit(checks)))
    return changed


def _replace(plan: SpotCheckPlan, check_id: UUID) -> bool:
    """Replace the checker of one check; do nothing where they answered meanwhile or may check it again."""
    try:
        with transaction.atomic():
            locked = SpotCheck.objects.select_for_update(of=("self",)).select_related(
                "checker", "item__campaign", "item__agent", "item__system", "item__holder"
            )
            check = locked.filter(pk=check_id, answered_at=None, checker__isnull=False).first()
            unfit = list(checkers.unfit([check])) if check else []
            if check is None or not unfit:
                return False
            _ask_another(plan, check, unfit[0][1])
    except IntegrityError:
        return False  # the next sweep looks again
    return True


def _ask_another(plan: SpotCheckPlan, check: SpotCheck, why: Reason) -> None:
    now, before = clock.now(), check.checker
    counted = SpotCheck.objects.filter(plan=plan, checker__isnull=False).order_by().values_list("checker__login")
    load = Counter(dict(counted.annotate(n=Count("pk"))))
    found = checkers.find([check.item_id], load=load, cap=plan.campaign.load_cap, known={}, at=now)
    ((_item, to, evidence),) = found
    was = {"who": before.login if before else "", "why": why.value, "asked_at": check.asked_at.isoformat()}
    told = {**evidence, "instead_of": [*check.resolution.get("instead_of", []), was]}
    check.checker, check.resolution, check.asked_at = to, told, now
    check.save(update_fields=["checker", "resolution", "asked_at"])
    people = [f"person:{person.login}" for person in (before, to) if person]
    log.record(
        Action.SPOT_CHECK_REASSIGNED,
        about=[*item_links.about(check.item), f"spot_check:{check.pk}", *people],
        by=SYSTEM,
        reason="The checker has left." if why == Reason.INACTIVE else "The checker is not independent any more.",
        detail={"from": was["who"], "to": to.login if to else None, **told},
    )
