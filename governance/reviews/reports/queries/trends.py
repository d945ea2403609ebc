"""The data of the plots over time: coverage by risk level, removals by review, tool changes by day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Final

from django.db.models import Count, Exists, OuterRef
from django.db.models.functions import TruncDate
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit import clock
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.catalog.models import ToolVersion
from entitlements.words import Risk
from governance.charts import plots
from governance.charts.plot import Plot
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import tallies
from governance.reviews.usage import coverage as coverage_actions

MOST_CAMPAIGNS: Final = 12
_RISKS: Final = {
    Risk.LOW: gettext_lazy("Low risk"),
    Risk.MEDIUM: gettext_lazy("Medium risk"),
    Risk.HIGH: gettext_lazy("High risk"),
    Risk.CRITICAL: gettext_lazy("Critical risk"),
}
WEEKS: Final = 26
"""How far back the calendar of changes goes."""


def coverage(access: coverage_actions.AccessCounts) -> Plot | None:
    """Draw how much was reviewed in time at the end of each of twelve months, by risk; None for fewer than two."""
    months = access.history
    if sum(seen.percent is not None for _month, seen in months) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    by_risk = [(str(_RISKS[risk]), [seen.share(risk) for _month, seen in months]) for risk in reversed(Risk)]
    held = [(word, shares) for word, shares in by_risk if any(share is not None for share in shares)]
    everything = (_("All, weighted by risk"), [seen.percent for _month, seen in months])
    return plots.lines([month for month, _seen in months], [everything, *held], coverage_actions.ENOUGH, _("Month"))


def cut_rates() -> Plot | None:
    """Draw the share of answers that removed or reduced access in each of the last reviews; None for fewer than two.

    Event-triggered reviews are left out: each of them has one answer.
    """
    began = Campaign.objects.filter(state__in=Campaign.BEGAN).exclude(kind=Campaign.Kind.MICRO)
    last = {campaign.pk: campaign for campaign in began.order_by("-snapshot_at", "pk")[:MOST_CAMPAIGNS]}
    decided = tallies.decided(last.values())
    counted = [(last[pk], decided[pk]) for pk in reversed(last) if pk in decided]
    if len(counted) < 2:  # noqa: PLR2004 - one is no trend
        return None
    all_of = [sum(row.values()) for _campaign, row in counted]
    shares = {
        verb: [100 * row.get(verb, 0) // n for (_campaign, row), n in zip(counted, all_of, strict=True)]
        for verb in ("revoke", "reduce")
    }
    drawn = plots.columns(
        [campaign.snapshot_at.strftime("%Y-%m") if campaign.snapshot_at else "" for campaign, _row in counted],
        [(_("Revoked"), shares["revoke"]), (_("Reduced"), shares["reduce"])],
        _("Month"),
        most=100,
    )
    table = tuple(
        (campaign.name, str(n), f"{shares['revoke'][at]} %", f"{shares['reduce'][at]} %")
        for at, ((campaign, _row), n) in enumerate(zip(counted, all_of, strict=True))
    )
    return replace(drawn, heads=(_("Review"), _("Decisions"), _("Revoked"), _("Reduced")), rows=table, top="100 %")


def changes(caller: Caller) -> Plot | None:
    """Draw on which days of half a year tools that a caller sees changed their definition; None without changes.

    The first definition of a tool is no change, nor is a return to one that was seen before.
    """
    today = clock.now().date()
    first = today - timedelta(days=today.weekday(), weeks=WEEKS - 1)
    since = datetime.combine(first, time(), UTC)
    before = ToolVersion.objects.filter(tool=OuterRef("tool"), seen_at__lt=OuterRef("seen_at"))
    rows = ToolVersion.objects.filter(
        Exists(before), tool__in=visibility.tools(caller).values("pk"), seen_at__gte=since
    )
    by_day = rows.annotate(day=TruncDate("seen_at", tzinfo=UTC)).order_by().values_list("day").annotate(n=Count("pk"))
    days = [(day, n) for day, n in by_day if day is not None]
    return plots.calendar(days, first, today, (_("Day"), _("Changed tools"))) if days else None
