"""Previewing a campaign: it is staged in a transaction that is rolled back, so that the preview equals the staging.

It stores and logs nothing. A population that is too large for that is only counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from django.db import transaction
from django.db.models import Count, Q, QuerySet

from audit import clock
from entitlements.people.models import Person
from entitlements.words import Risk
from governance.reviews.campaigns.models import Campaign
from governance.reviews.deadlines import effects
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.population import other_subjects, scopes, snapshot
from governance.reviews.population.campaigns import CampaignOptions
from governance.reviews.quality import comparison
from governance.reviews.reviewers import assignment
from governance.reviews.reviewers.models import Assignment
from governance.reviews.suggestions import suggestions
from governance.reviews.suggestions.models import Suggestion

LARGEST: Final = 20_000
"""Up to how many grants are staged for a preview."""
SECONDS: Final[Mapping[str, int]] = {Risk.LOW: 20, Risk.MEDIUM: 40, Risk.HIGH: 90, Risk.CRITICAL: 180}
"""How many seconds an item takes, by its risk level: an estimate until an installation has measured its own."""
MANY, TOO_MANY = 60, 120
"""Items of one reviewer above which answers get careless, and above which a reviewer gets no more."""
SAMPLE: Final = 20
READABLE: Final = 95
"""Per cent of the tools that must have a plain sentence."""


@dataclass(frozen=True, slots=True)
class Load:
    """How many items one reviewer would get, and about how many minutes they take; no login for unassigned items."""

    login: str
    name: str
    items: int
    minutes: int

    @property
    def level(self) -> str:
        """Whether the number of items is fine, many or too many."""
        return "too_many" if self.items > TOO_MANY else "many" if self.items > MANY else "fine"


@dataclass(frozen=True, slots=True)
class Preview:
    """What a campaign would cover, its reviewers, and the effect of the deadline if no reviewer answered.

    `staged` is false where the population is too large for a preview: then only `grants` is known. `new` and `gone`
    compare the items with the review `last`, the one before it of its kind. `unassigned` are the first items without a
    reviewer, `sample` the first of all.
    """

    at: datetime
    grants: int
    staged: bool = False
    items: int = 0
    excluded: int = 0
    carried: int = 0
    new: int = 0
    gone: int = 0
    last: str = ""
    unresolved: int = 0
    readable: int = 100
    silent_grants: int = 0
    silent_calls: int = 0
    risks: dict[str, int] = field(default_factory=dict)
    systems: dict[str, int] = field(default_factory=dict)
    verdicts: dict[str, int] = field(default_factory=dict)
    loads: tuple[Load, ...] = ()
    sample: tuple[dict[str, Any], ...] = ()
    unassigned: tuple[dict[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored with the staging."""
        data = {**asdict(self), "at": self.at.isoformat()}
        del data["unassigned"]  # read from what is staged
        return data

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Preview:
        """Read what `as_json` returned."""
        loads = tuple(Load(**each) for each in kept["loads"])
        return cls(
            **{**kept, "at": datetime.fromisoformat(kept["at"]), "loads": loads, "sample": tuple(kept["sample"])}
        )

    @property
    def by_risk(self) -> list[tuple[str, int]]:
        """Return the number of items by risk level, the highest first; stored JSON has no order of its own."""
        return sorted(self.risks.items(), key=lambda each: list(Risk).index(Risk(each[0])), reverse=True)

    @property
    def by_system(self) -> list[tuple[str, int]]:
        """Return the number of items by system, the most first."""
        return sorted(self.systems.items(), key=lambda each: (-each[1], each[0]))

    @property
    def gates(self) -> list[tuple[str, str]]:
        """Return each check of a launch with its state: good, warn or bad; a bad one blocks the campaign."""
        overloaded = any(load.level == "too_many" for load in self.loads)
        busy = any(load.level == "many" for load in self.loads)
        return [
            ("population", "good" if self.grants else "bad"),
            ("reviewers", "warn" if self.unresolved else "good"),
            ("load", "warn" if overloaded or busy else "good"),
            ("readability", "good" if self.readable >= READABLE else "warn"),
        ]


def preview(scope: Mapping[str, Any], options: CampaignOptions, *, by: Person) -> Preview:
    """Preview a campaign with this scope. Raises BadScope, BadCampaignOptions, FallbackUnfit."""
    now = clock.now()
    checked = scopes.check(scope)
    options.check()
    other_subjects.check(checked, options.kind)
    grants = snapshot.count(checked, options.kind, now)
    if not grants or grants > LARGEST:
        return Preview(now, grants)
    with transaction.atomic():
        campaign = Campaign.objects.create(
            slug=f"preview-{uuid4().hex}",
            name="preview",
            **options.columns(),
            owner=by,
            scope=checked,
            scope_sha256="0" * 64,
            created_at=now,
            due_at=now + timedelta(days=1),
        )
        snapshot.take(campaign, now)
        suggestions.suggest(campaign, now)
        snapshot.carry(campaign, now)
        unresolved = assignment.assign(campaign)
        seen = look(campaign, now, grants, unresolved)
        transaction.set_rollback(True)
    return seen


def of_draft(campaign: Campaign) -> Preview:
    """Preview a draft as if it began now."""
    return preview(campaign.scope, CampaignOptions.of(campaign), by=campaign.owner)


def grants_of(campaign: Campaign) -> int:
    """Count the rows that the population of a draft would have now."""
    return snapshot.count(campaign.scope, campaign.kind, clock.now())


def look(campaign: Campaign, now: datetime, grants: int, unresolved: int) -> Preview:
    """Return the preview of a campaign whose items are staged."""
    items = ReviewItem.objects.filter(campaign=campaign)
    open_items = items.filter(state=ReviewItem.State.IN_REVIEW)
    lines = ReviewLine.objects.filter(item__campaign=campaign)
    silent = effects.effect(campaign)
    counted = lines.aggregate(all=Count("pk"), readable=Count("pk", filter=~Q(tool__sentence="")))
    last = comparison.previous(campaign)
    against = comparison.count(campaign, last) if last else Counter[str]()
    return Preview(
        at=now,
        grants=grants,
        staged=True,
        items=open_items.count(),
        excluded=items.filter(state=ReviewItem.State.EXCLUDED).count(),
        carried=items.filter(state=ReviewItem.State.CARRIED_FORWARD).count(),
        new=against["added"],
        gone=against["removed"],
        last=last.slug if last else "",
        unresolved=unresolved,
        readable=100 * counted["readable"] // (counted["all"] or 1),
        silent_grants=silent.grants,
        silent_calls=silent.calls,
        risks=_split(open_items, "risk"),
        systems=_split(open_items, "system__name"),
        verdicts=_split(Suggestion.objects.filter(item__in=open_items), "verdict"),
        loads=_loads(campaign),
        sample=_first(open_items),
        unassigned=unassigned(campaign) if unresolved else (),
    )


def unassigned(campaign: Campaign) -> tuple[dict[str, Any], ...]:
    """Return the first items without a reviewer."""
    waiting = Assignment.objects.filter(state=Assignment.State.ASSIGNED, reviewer=None)
    return _first(ReviewItem.objects.filter(campaign=campaign, assignments__in=waiting))


def _first(rows: QuerySet[ReviewItem]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"agent": item.name, "system": item.at, "risk": item.risk, "people": item.subjects}
        for item in rows.select_related("agent", "system").order_by("number")[:SAMPLE]
    )


def _split(rows: Any, column: str) -> dict[str, int]:  # noqa: ANN401 - a queryset of any model
    rows = rows.filter(**{f"{column}__isnull": False})
    return dict(rows.order_by().values_list(column).annotate(n=Count("pk")).order_by("-n", column))


def _loads(campaign: Campaign) -> tuple[Load, ...]:
    rows = Assignment.objects.filter(item__campaign=campaign, state=Assignment.State.ASSIGNED)
    by_reviewer: dict[str, tuple[str, int, int]] = {}
    for login, name, risk, n in rows.values_list("reviewer__login", "reviewer__name", "item__risk").annotate(
        n=Count("pk")
    ):
        _name, items, seconds = by_reviewer.get(login or "", (name or "", 0, 0))
        by_reviewer[login or ""] = (_name, items + n, seconds + n * SECONDS.get(risk, SECONDS[Risk.CRITICAL]))
    loads = [Load(login, name, items, -(-seconds // 60)) for login, (name, items, seconds) in by_reviewer.items()]
    return tuple(sorted(loads, key=lambda load: (bool(load.login), -load.items, load.name)))
