"""The table of spot checks: what was asked again, of whom, and what she said, who did not know the answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.db.models import QuerySet

from governance.deciders.review_rules import Verb
from governance.reviews.campaigns.models import Campaign
from governance.reviews.spot_checks import spot_checks
from governance.reviews.spot_checks.models import SpotCheck

from .tables import Row, Table, utc


def _checks(campaign: Campaign) -> QuerySet[SpotCheck]:
    rows = SpotCheck.objects.filter(plan=campaign.pk)
    return rows.select_related("item__current_decision", "checker").order_by("item__number")


def checks(rows: Iterable[SpotCheck]) -> Iterator[Row]:
    """Each answer that was asked again; `state` is answered, unanswered, or nobody where nobody was independent enough.

    `agrees` is empty where there is no answer, or none that judges. `resolution` says who was passed over, and why.
    """
    for row in rows:
        said = row.item.current_decision
        judges = row.verb not in ("", Verb.ABSTAIN)
        yield {
            "item": row.item.number,
            "check": str(row.pk),
            "answer": said.verb if said else "",
            "checker": row.checker.login if row.checker else "",
            "rule": row.resolution.get("rule", ""),
            "resolution": row.resolution,
            "asked_at": utc(row.asked_at),
            "state": "answered" if row.answered_at else "unanswered" if row.checker_id else "nobody",
            "verb": row.verb,
            "agrees": bool(said and said.verb == row.verb) if judges else "",
            "reason_code": row.reason_code,
            "comment": row.comment,
            "answered_at": utc(row.answered_at),
            "followed": row.followed,
            "followed_at": utc(row.followed_at),
            "followed_because": row.followed_because,
        }


def plan(campaign: Campaign) -> dict[str, Any] | None:
    """Return how they were drawn, and how many, as the database counts them; None where a review has none."""
    found = spot_checks.result(campaign)
    if found is None:
        return None
    made = found.plan
    return {
        "share": made.share,
        "days": made.days,
        "seed": made.seed,
        "seed_sha256": made.seed_sha256,
        "switched_on_by": made.made_by.login,
        "switched_on_at": utc(made.made_at),
        "drawn_at": utc(made.drawn_at),
        "due_at": utc(made.due_at),
        "frame": made.frame,
        **found.as_json(),
    }


def said(campaign: Campaign) -> str:
    """Say it in a sentence for the control in words."""
    found = spot_checks.result(campaign)
    if found is None:
        return "None"
    told = found.agreement
    kappa = "not defined" if told.kappa is None else f"{told.kappa:.2f}"
    return (
        f"{found.plan.share} % of the answers, drawn by a seed whose digest was told before (a quarter of whoever "
        f"answered with little care), were asked of somebody else who did not know them (09): {found.sampled} drawn, "
        f"{found.answered} answered, {found.unanswered} not, nobody independent for {found.nobody}. Of {told.n} that "
        f"judge {told.same} agree; Cohen's kappa is {kappa}."
    )


TABLES: Final = {"09_spot_checks": Table(_checks, checks, ("answer", "state", "verb", "agrees"), "spot_check:{check}")}
