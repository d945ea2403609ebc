"""The table of spot checks: the items that were checked, the checkers, and their answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.db.models import QuerySet

from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.review_rules import Verb
from governance.reviews.spot_checks import spot_checks
from governance.reviews.spot_checks.models import SpotCheck

from .tables import Row, Table, utc


def _checks(campaign: Campaign) -> QuerySet[SpotCheck]:
    rows = SpotCheck.objects.filter(plan=campaign.pk)
    return rows.select_related("item__current_decision", "checker").order_by("item__number")


def checks(rows: Iterable[SpotCheck]) -> Iterator[Row]:
    """Each spot check; `state` is answered, unanswered, or nobody where no person was independent enough.

    `agrees` is empty without an answer, or for an abstention. `resolution` has the people skipped, and why.
    """
    for row in rows:
        decision = row.item.current_decision
        judges = row.verb not in ("", Verb.ABSTAIN)
        yield {
            "item": row.item.number,
            "check": str(row.pk),
            "answer": decision.verb if decision else "",
            "checker": row.checker.login if row.checker else "",
            "rule": row.resolution.get("rule", ""),
            "resolution": row.resolution,
            "asked_at": utc(row.asked_at),
            "state": "answered" if row.answered_at else "unanswered" if row.checker_id else "nobody",
            "verb": row.verb,
            "agrees": bool(decision and decision.verb == row.verb) if judges else "",
            "reason_code": row.reason_code,
            "comment": row.comment,
            "answered_at": utc(row.answered_at),
            "followed": row.followed,
            "followed_at": utc(row.followed_at),
            "followed_because": row.followed_because,
        }


def plan(campaign: Campaign) -> dict[str, Any] | None:
    """Return how the spot checks were drawn, and their counts; None where a review has none."""
    result = spot_checks.result(campaign)
    if result is None:
        return None
    plan_row = result.plan
    return {
        "share": plan_row.share,
        "days": plan_row.days,
        "seed": plan_row.seed,
        "seed_sha256": plan_row.seed_sha256,
        "switched_on_by": plan_row.made_by.login,
        "switched_on_at": utc(plan_row.made_at),
        "drawn_at": utc(plan_row.drawn_at),
        "due_at": utc(plan_row.due_at),
        "frame": plan_row.frame,
        **result.as_json(),
    }


def sentence(campaign: Campaign) -> str:
    """Return the sentence about spot checks for the control in words."""
    result = spot_checks.result(campaign)
    if result is None:
        return "None"
    agreement = result.agreement
    return (
        f"{result.plan.share} % of the answers, drawn by a seed whose digest was published before, were asked of "
        f"another person who did not know them (09): {result.sampled} drawn, {result.answered} answered, "
        f"{result.unanswered} not, nobody independent for {result.nobody}. "
        f"Of {agreement.n} that judge {agreement.agree} agree."
    )


TABLES: Final = {"09_spot_checks": Table(_checks, checks, ("answer", "state", "verb", "agrees"), "spot_check:{check}")}
