"""What a campaign would be if it began now: the staging itself, looked at and taken back, so that nothing differs.

Nothing is kept and nothing is recorded. A population too large to stage for a look is counted alone.
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
from governance.reviews.deadlines import deadlines
from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.population import other_things, scopes, snapshot
from governance.reviews.population.campaigns import Manner
from governance.reviews.quality import comparison
from governance.reviews.reviewers import assignment
from governance.reviews.reviewers.models import Assignment
from governance.reviews.suggestions import suggestions
from governance.reviews.suggestions.models import Suggestion

LARGEST: Final = 20_000
"""How many grants are staged for a look."""
SECONDS: Final[Mapping[str, int]] = {Risk.LOW: 20, Risk.MEDIUM: 40, Risk.HIGH: 90, Risk.CRITICAL: 180}
"""How long an item takes, by its risk: a fair guess until an installation has measured its own."""
MANY, TOO_MANY = 60, 120
"""Items of one reviewer from which an answer is no longer worth much, and from which nobody gets more."""
SAMPLE: Final = 20
READABLE: Final = 95
"""Per cent of the tools that must have a plain sentence."""


@dataclass(frozen=True, slots=True)
class Load:
    """How many items one reviewer would get, and about how many minutes they take; nobody's where no one is found."""

    login: str
    name: str
    items: int
    minutes: int

    @property
    def level(self) -> str:
        """Whether that is fine, many or too many."""
        return "too_many" if self.items > TOO_MANY else "many" if self.items > MANY else "fine"


@dataclass(frozen=True, slots=True)
class Preview:
    """What a campaign would look at, whom it would ask, and what would happen if nobody answered.

    `staged` is false where the population is too large for a look: then only `grants` is known. `new` and `gone` count
    items against the review named by `last`, the one before it of its kind. `nobodys` are the first items without a
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
    nobodys: tuple[dict[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as it is kept beside what is staged; the release before has to read it too."""
        told = {**asdict(self), "at": self.at.isoformat()}
        del told["nobodys"]  # read from what is staged
        return told

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Preview:
        """Read what was kept."""
        loads = tuple(Load(**each) for each in kept["loads"])
        return cls(
            **{**kept, "at": datetime.fromisoformat(kept["at"]), "loads": loads, "sample": tuple(kept["sample"])}
        )

    @property
    def by_risk(self) -> list[tuple[str, int]]:
        """Return the items of each risk, the gravest first; what is kept as JSON has no order of its own."""
        return sorted(self.risks.items(), key=lambda each: list(Risk).index(Risk(each[0])), reverse=True)

    @property
    def by_system(self) -> list[tuple[str, int]]:
        """Return the items of each system, the most first."""
        return sorted(self.systems.items(), key=lambda each: (-each[1], each[0]))

    @property
    def gates(self) -> list[tuple[str, str]]:
        """Return each gate with how it stands: good, warn or bad; a bad one keeps the campaign from beginning."""
        overloaded = any(load.level == "too_many" for load in self.loads)
        busy = any(load.level == "many" for load in self.loads)
        return [
            ("population", "good" if self.grants else "bad"),
            ("reviewers", "warn" if self.unresolved else "good"),
            ("load", "warn" if overloaded or busy else "good"),
            ("readability", "good" if self.readable >= READABLE else "warn"),
        ]


def preview(scope: Mapping[str, Any], manner: Manner, *, by: Person) -> Preview:
    """Say what a campaign with this scope would be. Raises BadScope, BadManner, FallbackUnfit."""
    now = clock.now()
    checked = scopes.check(scope)
    manner.check()
    other_things.check(checked, manner.kind)
    grants = snapshot.count(checked, manner.kind, now)
    if not grants or grants > LARGEST:
        return Preview(now, grants)
    with transaction.atomic():
        campaign = Campaign.objects.create(
            slug=f"preview-{uuid4().hex}",
            name="preview",
            **manner.columns(),
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
    """Say what a drafted campaign would be if it began now."""
    return preview(campaign.scope, Manner.of(campaign), by=campaign.owner)


def grants_of(campaign: Campaign) -> int:
    """Count what a drafted campaign would take in now."""
    return snapshot.count(campaign.scope, campaign.kind, clock.now())


def look(campaign: Campaign, now: datetime, grants: int, unresolved: int) -> Preview:
    """Look at what is staged."""
    items = ReviewItem.objects.filter(campaign=campaign)
    asked = items.filter(state=ReviewItem.State.IN_REVIEW)
    lines = ReviewLine.objects.filter(item__campaign=campaign)
    silent = deadlines.effect(campaign)
    counted = lines.aggregate(all=Count("pk"), told=Count("pk", filter=~Q(tool__sentence="")))
    last = comparison.previous(campaign)
    against = comparison.count(campaign, last) if last else Counter[str]()
    return Preview(
        at=now,
        grants=grants,
        staged=True,
        items=asked.count(),
        excluded=items.filter(state=ReviewItem.State.EXCLUDED).count(),
        carried=items.filter(state=ReviewItem.State.CARRIED_FORWARD).count(),
        new=against["added"],
        gone=against["removed"],
        last=last.slug if last else "",
        unresolved=unresolved,
        readable=100 * counted["told"] // (counted["all"] or 1),
        silent_grants=silent.grants,
        silent_calls=silent.calls,
        risks=_split(asked, "risk"),
        systems=_split(asked, "system__name"),
        verdicts=_split(Suggestion.objects.filter(item__in=asked), "verdict"),
        loads=_loads(campaign),
        sample=_first(asked),
        nobodys=nobodys(campaign) if unresolved else (),
    )


def nobodys(campaign: Campaign) -> tuple[dict[str, Any], ...]:
    """Return the first items that nobody was found for."""
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
    found: dict[str, tuple[str, int, int]] = {}
    for login, name, risk, n in rows.values_list("reviewer__login", "reviewer__name", "item__risk").annotate(
        n=Count("pk")
    ):
        _name, items, seconds = found.get(login or "", (name or "", 0, 0))
        found[login or ""] = (_name, items + n, seconds + n * SECONDS.get(risk, SECONDS[Risk.CRITICAL]))
    loads = [Load(login, name, items, -(-seconds // 60)) for login, (name, items, seconds) in found.items()]
    return tuple(sorted(loads, key=lambda load: (bool(load.login), -load.items, load.name)))
