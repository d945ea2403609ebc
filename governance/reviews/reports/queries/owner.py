"""What the owner of a review sees first: its figures, and what waits for the owner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from governance.reviews.campaigns.models import Campaign
from governance.reviews.campaigns.queries.campaigns import Part
from governance.reviews.evidence.models import AuditQuestion
from governance.reviews.pack.models import EvidencePack, EvidenceSealing
from governance.reviews.population import campaigns
from governance.reviews.remediation.models import Remediation
from governance.reviews.spot_checks.models import SpotCheck


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a review that has begun; all but `percent` and `failed` count items, which have a list.

    `remediations` are the decisions that took access away and still count, `verified` those whose removal is proven.
    """

    items: int
    decided: int
    percent: int
    to_decide: int
    overdue: int
    revoked: int
    reduced: int
    remediations: int
    verified: int
    failed: int


@dataclass(frozen=True, slots=True)
class Task:
    """Something that waits for the owner: a sentence, where it is done, and whether it cannot wait."""

    sentence: str
    address: str
    is_urgent: bool = False


def figures(campaign: Campaign, parts: Sequence[Part], answered: int, now: datetime) -> Figures:
    """Return the figures of a campaign, from its `parts` and how many per cent of its items are `answered`."""
    counts = {part.name: part.count for part in parts}
    items, to_decide = sum(counts.values()), counts["in_review"]
    states = _remediations(campaign)
    is_over = campaign.state == Campaign.State.ACTIVE and campaign.due_at < now
    return Figures(
        items=items,
        decided=items - to_decide,
        percent=answered,
        to_decide=to_decide,
        overdue=to_decide if is_over else 0,
        revoked=counts["revoke"],
        reduced=counts["reduce"],
        remediations=sum(states.values()),
        verified=states.get(Remediation.State.VERIFIED, 0),
        failed=states.get(Remediation.State.FAILED, 0),
    )


def _remediations(campaign: Campaign) -> dict[str, int]:
    rows = Remediation.objects.filter(decision__item__campaign=campaign).exclude(state=Remediation.State.WITHDRAWN)
    return dict(rows.order_by().values_list("state").annotate(n=Count("pk")))


def tasks(campaign: Campaign, seen: Figures) -> list[Task]:
    """Return what waits for the owner of a review that has begun, the most urgent first."""
    found = [*_decisions(campaign, seen), *_remediation(campaign, seen), *_audit(campaign)]
    return sorted(found, key=lambda task: not task.is_urgent)


def _decisions(campaign: Campaign, seen: Figures) -> Iterator[Task]:
    people, state = reverse("review-reviewers", args=[campaign.slug]), campaign.state
    if state == Campaign.State.ACTIVE and campaign.deadline_held and not campaign.deadline_released_at:
        yield Task(_("The deadline waits until you confirm what it suspends."), "#deadline", is_urgent=True)
    if state in (Campaign.State.ACTIVE, Campaign.State.PAUSED) and (count := campaigns.unresolved(campaign)):
        words = ngettext(
            "%(n)d item is unassigned. Choose a reviewer.", "%(n)d items are unassigned. Choose reviewers.", count
        )
        yield Task(words % {"n": count}, f"{people}#unassigned", is_urgent=True)
    if seen.overdue:
        words = ngettext(
            "%(n)d item is overdue. Remind its reviewer, or reassign it.",
            "%(n)d items are overdue. Remind the reviewers, or reassign them.",
            seen.overdue,
        )
        yield Task(words % {"n": seen.overdue}, people, is_urgent=True)
    if state == Campaign.State.ACTIVE and not seen.to_decide:
        yield Task(_("All items are decided. You can close the review."), "")


def _remediation(campaign: Campaign, seen: Figures) -> Iterator[Task]:
    if seen.failed:
        words = ngettext("%(n)d remediation failed.", "%(n)d remediations failed.", seen.failed) % {"n": seen.failed}
        yield Task(words, f"{reverse('review-items', args=[campaign.slug])}?remediation=failed", is_urgent=True)
    if count := SpotCheck.to_follow_up().filter(plan=campaign.pk).count():
        words = ngettext(
            "%(n)d spot check would keep less. Follow it up.",
            "%(n)d spot checks would keep less. Follow them up.",
            count,
        )
        yield Task(words % {"n": count}, "#spot-checks")


def _audit(campaign: Campaign) -> Iterator[Task]:
    if count := AuditQuestion.objects.filter(campaign=campaign, answered_at=None).count():
        words = ngettext(
            "%(n)d question of an auditor waits for your answer.",
            "%(n)d questions of auditors wait for your answer.",
            count,
        )
        yield Task(words % {"n": count}, reverse("review-audit", args=[campaign.slug]), is_urgent=True)
    if campaign.state != Campaign.State.CLOSED or EvidencePack.objects.filter(campaign=campaign).exists():
        return
    if not EvidenceSealing.objects.filter(campaign=campaign, refused="").exists():
        yield Task(
            _("The evidence is not sealed. A person who decided nothing here signs it off."),
            reverse("review-evidence", args=[campaign.slug]),
        )
