"""The analyst's home: what needs somebody now, as sentences; what an auditor would ask, as numbers; each campaign."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any, Final

from django.db.models import Count, F
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from audit import clock
from entitlements.agents.models import Agent
from entitlements.revocation.models import Revocation
from governance.deciders.review_rules import Verb
from governance.ownership.models import OfficeProposal
from governance.reviews.campaigns.models import Campaign
from governance.reviews.campaigns.queries import campaigns as read
from governance.reviews.deadlines import deadlines
from governance.reviews.decisions.models import ReviewDecision
from governance.reviews.items import tallies
from governance.reviews.quality import care
from governance.reviews.remediation.models import Remediation, RemovalException
from governance.reviews.reports.queries import plots as plots_queries
from governance.reviews.usage import coverage
from governance.sod.models import CombinationException

_SOON: Final = timedelta(days=14)
_DEADLINE: Final = timedelta(hours=72)
_FEW: Final = 5000
"""Up to how many open items the effect of a deadline is counted with every look."""
_CAMPAIGNS: Final = 8
_MOST_PASSED_ON, _SOME = 30, 3
"""Above how many of a hundred answers that cannot be given somebody looks into it, and from how many of them on."""


@dataclass(frozen=True, slots=True)
class Need:
    """One sentence that leads to where something can be done about it."""

    sentence: str
    href: str
    when: datetime | None = None
    detail: str = ""


def needs() -> list[Need]:
    """Return what needs an analyst, the most urgent first."""
    return [*_deadlines(), *_overdue(), *_failed(), *_unresolved(), *_passed_on(), *_sponsors(), *_exceptions()]


def _deadlines() -> Iterator[Need]:
    """Say what stops by itself within three days."""
    now = clock.now()
    rows = Campaign.objects.filter(state=Campaign.State.ACTIVE, due_at__lte=now + _DEADLINE).select_related("owner")
    for campaign in rows:
        at = deadlines.grace_ends(campaign)
        open_items = tallies.still_open([campaign]).get(campaign.pk, 0)
        if not open_items or at > now + _DEADLINE:
            continue
        if campaign.deadline_held and not campaign.deadline_released_at:
            yield Need(*_held(campaign))
            continue
        if campaign.is_rehearsal:
            told = _("a rehearsal: nothing stops")
        elif open_items > _FEW:  # counting what stops takes longer than this page may
            told = _("%(n)s items are open, and what nobody answers stops by its risk") % {"n": f"{open_items:,}"}
        else:
            stops = deadlines.effect(campaign).grants
            told = ngettext(
                "%(n)d access stops unless somebody answers", "%(n)d accesses stop unless somebody answers", stops
            )
            told %= {"n": stops}
        yield Need(_("The deadline of %(name)s") % {"name": campaign.name}, f"/reviews/{campaign.slug}/", at, told)


def _held(campaign: Campaign) -> tuple[str, str, None, str]:
    """Say that nothing of a campaign stops before whoever runs it has looked at how much that is."""
    stops = (campaign.deadline_held or {}).get("grants", 0)
    told = ngettext(
        "%(n)d access would stop; nothing does until then", "%(n)d accesses would stop; nothing does until then", stops
    )
    words = _("The deadline of %(name)s waits for the word of %(owner)s")
    return (
        words % {"name": campaign.name, "owner": campaign.owner.name},
        f"/reviews/{campaign.slug}/",
        None,
        told % {"n": stops},
    )


def _overdue() -> Iterator[Need]:
    rows = Campaign.objects.filter(state=Campaign.State.ACTIVE, due_at__lt=clock.now()).order_by("due_at")
    late = list(rows[:_CAMPAIGNS])
    still_open = tallies.still_open(late)
    for campaign in late:
        left = still_open.get(campaign.pk, 0)
        told = ngettext("%(n)d item is open", "%(n)d items are open", left) % {"n": left}
        yield Need(
            _("%(name)s is overdue") % {"name": campaign.name}, f"/reviews/{campaign.slug}/", campaign.due_at, told
        )


def _failed() -> Iterator[Need]:
    failed = Remediation.objects.filter(state=Remediation.State.FAILED)
    rows = failed.select_related("decision__item__campaign", "decision__item__agent", "decision__item__system")
    for each in rows.order_by("due_at")[:_CAMPAIGNS]:
        item = each.decision.item
        address = f"/reviews/{item.campaign.slug}/items/{item.pk}/"
        yield Need(_("A removal could not be proven: %(name)s") % {"name": item.name}, address, each.due_at)


def _unresolved() -> Iterator[Need]:
    for campaign, count in tallies.unresolved():
        told = ngettext("%(n)d item has no reviewer", "%(n)d items have no reviewer", count) % {"n": count}
        yield Need(told, f"/reviews/{campaign.slug}/#h-nobody", None, campaign.name)


def _passed_on() -> Iterator[Need]:
    """Say where more than three answers of ten were that somebody cannot judge (design 5, 3.4)."""
    under_way = ReviewDecision.objects.filter(item__campaign__state=Campaign.State.ACTIVE).order_by()
    passed = under_way.filter(verb=Verb.ABSTAIN).values(slug=F("item__campaign__slug"), name=F("item__campaign__name"))
    for row in passed.annotate(n=Count("pk")).filter(n__gte=_SOME).order_by("-n"):
        percent = 100 * row["n"] // under_way.filter(item__campaign__slug=row["slug"]).count()
        if percent > _MOST_PASSED_ON:
            told = _("%(n)d of 100 answers are “I can't judge”") % {"n": percent}
            yield Need(told, f"/reviews/{row['slug']}/", None, row["name"])


def _sponsors() -> Iterator[Need]:
    waiting = OfficeProposal.objects.filter(office="sponsor", state=OfficeProposal.State.WAITING)
    rows = waiting.exclude(agent__status=Agent.Status.RETIRED).select_related("agent", "person")
    for each in rows.order_by("answer_by")[:_CAMPAIGNS]:
        told = _("%(person)s has not said yet whether to answer for %(agent)s")
        told %= {"person": each.person.name, "agent": each.agent.name}
        yield Need(told, f"/agents/{each.agent.slug}/", each.answer_by)


def _exceptions() -> Iterator[Need]:
    now = clock.now()
    soon = {"ended_at": None, "expires_at__gt": now, "expires_at__lte": now + _SOON}
    cuts = RemovalException.objects.filter(**soon).select_related("remediation__decision__item__campaign")
    for cut in cuts.order_by("expires_at")[:_CAMPAIGNS]:
        item = cut.remediation.decision.item
        address = f"/reviews/{item.campaign.slug}/items/{item.pk}/"
        yield Need(_("An exception from a removal ends: %(name)s") % {"name": item.name}, address, cut.expires_at)
    for each in (
        CombinationException.objects.filter(**soon).select_related("rule", "agent").order_by("expires_at")[:_CAMPAIGNS]
    ):
        told = _("An exception from “%(rule)s” ends for %(agent)s") % {"rule": each.rule.name, "agent": each.agent.name}
        yield Need(told, f"/rules/{each.rule_id}/", each.expires_at)


def numbers() -> dict[str, Any]:
    """Return the headline and what stands beside it."""
    agents = Agent.objects.exclude(status=Agent.Status.RETIRED)
    owned = agents.filter(sponsor__is_active=True, owner__is_active=True).count()
    told: dict[str, Any] = {"agents": agents.count(), "owned": owned, "stop_ms": _stopping()}
    told["owned_percent"] = 100 * owned // told["agents"] if told["agents"] else None
    if access := coverage.access():
        told |= {"access": access, "trend": plots_queries.coverage(access)}
    return told


def _stopping() -> int | None:
    """Return the median of milliseconds until the slowest node obeyed, over the last stops; None without any."""
    said = Revocation.objects.exclude(acknowledged=[]).order_by("-committed_at").values_list("acknowledged", flat=True)
    slowest = [max(float(node["after_ms"]) for node in nodes) for nodes in said[:100]]
    return round(median(slowest)) if slowest else None


@dataclass(frozen=True, slots=True)
class Line:
    """One campaign of the table."""

    campaign: Campaign
    parts: list[read.Part]
    answered: int
    burn: str
    is_late: bool
    care: care.Care | None


def campaigns() -> list[Line]:
    """Return the campaigns under way and the last ones before them."""
    rows = (
        Campaign.objects.filter(state__in=Campaign.BEGAN)
        .exclude(kind=Campaign.Kind.MICRO)
        .order_by("-snapshot_at")[:_CAMPAIGNS]
    )
    return [line(each) for each in rows]


def line(campaign: Campaign) -> Line:
    """Return what a table says of one campaign."""
    parts = read.progress(campaign)
    ended = campaign.closing_at or clock.now()
    is_late = ended > campaign.due_at and campaign.state != Campaign.State.PAUSED
    return Line(
        campaign, parts, read.answered(parts), plots_queries.small_burn_down(campaign), is_late, care.known(campaign)
    )
