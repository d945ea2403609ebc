"""The views of the workbench: the items by risk, system, agent or tool, the unchanged ones last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db.models import Case, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.utils.translation import gettext_lazy as _

from governance.reviews.items.models import ReviewItem, ReviewLine
from governance.reviews.suggestions import changes_since

from .rows import Row

VIEWS: Final = {
    "risk": _("Highest risk level first"),
    "system": _("By system"),
    "agent": _("By agent"),
    "tool": _("By tool of the highest risk level"),
}
UNCHANGED: Final = "unchanged"
_FEW: Final = 500
"""Up to how many items of one reviewer the groups are counted and unchanged items are found."""
_ORDERS: Final = {
    "risk": ("late", "number", "id"),
    "system": ("system__name", "number", "id"),
    "agent": ("agent__name", "number", "id"),
    "tool": ("lead", "number", "id"),
}


@dataclass(slots=True)
class Group:
    """The rows under one heading; `count` is how many it has on all pages, None where that was not counted."""

    key: str
    rows: list[Row] = field(default_factory=list)
    count: int | None = None

    @property
    def is_unchanged(self) -> bool:
        """Whether it holds the unchanged items."""
        return self.key == UNCHANGED


@dataclass(frozen=True, slots=True)
class View:
    """One order of the items, and the heading of each."""

    name: str
    rows: QuerySet[ReviewItem]
    order: tuple[str, ...]
    unchanged: frozenset[UUID]
    counts: Counter[str]

    def groups(self, rows: Sequence[Row]) -> list[Group]:
        """Put the rows of a page under their headings."""
        groups: list[Group] = []
        for row in rows:
            key = self.key(row.item)
            if not groups or groups[-1].key != key:
                groups.append(Group(key, count=self.counts.get(key)))
            groups[-1].rows.append(row)
        return groups

    def key(self, item: ReviewItem) -> str:
        """Return the key of the heading of an item."""
        if self.name == "risk":
            return UNCHANGED if item.pk in self.unchanged else item.risk
        if self.name == "tool":
            return str(getattr(item, "lead", ""))
        thing: Any = item.system if self.name == "system" else item.agent
        return thing.name if thing else str(item.get_subject_kind_display())


def matching(rows: QuerySet[ReviewItem], words: str) -> QuerySet[ReviewItem]:
    """Return the items whose agent, system or tools have these words in their names."""
    for word in words.split()[:5]:
        tools = ReviewLine.objects.filter(tool__name__icontains=word).values("item")
        named = (
            Q(agent__name__icontains=word)
            | Q(agent__slug__icontains=word)
            | Q(system__name__icontains=word)
            | Q(label__icontains=word)
        )
        rows = rows.filter(named | Q(pk__in=tools))
    return rows


def view(name: str, rows: QuerySet[ReviewItem], count: int) -> View:
    """Order the items of a reviewer by one of the views; an unknown one is the first."""
    name = name if name in VIEWS else "risk"
    if name == "tool":
        rank = Case(*(When(tool__risk=risk, then=place) for place, risk in enumerate(_RISKS)), default=len(_RISKS))
        lead = ReviewLine.objects.filter(item=OuterRef("pk")).order_by(rank, "tool__name").values("tool__name")[:1]
        rows = rows.annotate(lead=Subquery(lead))
    few = count <= _FEW
    unchanged: frozenset[UUID] = frozenset()
    if name == "risk":
        if few:
            calm = rows.exclude(suggestion__verdict__in=_TO_SEE)  # items with another suggestion stay visible
            unchanged = frozenset(changes_since.unchanged(list(calm.order_by().values_list("pk", flat=True))))
        late = Case(When(pk__in=unchanged, then=Value(1)), default=Value(0), output_field=IntegerField())
        rows = rows.annotate(late=late)
    ordered = View(name, rows, _ORDERS[name], unchanged, Counter())
    if few:
        plain = rows.prefetch_related(None).select_related("agent", "system")
        ordered.counts.update(ordered.key(item) for item in plain)
    return ordered


_RISKS: Final = ("critical", "high", "medium", "low")
_TO_SEE: Final = ("revoke", "reduce", "look")
