"""Reviewer assignment: each stage of an item is routed when it comes up and when a reviewer leaves, or reassigned."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import batched
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.conflicts import independence
from entitlements.errors import NotFound, ReasonRequired
from entitlements.people.models import Person
from governance.conflicts_of_interest import routing, rules
from governance.conflicts_of_interest.routing import ItemPeople, Route
from governance.conflicts_of_interest.rules import Reason
from governance.database import cursors
from governance.out_of_office import delegations
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import item_links, review_rules, tallies
from governance.reviews.items.errors import ConflictOfInterest, NotTheReviewer, NotUnderWay
from governance.reviews.items.models import ReviewItem
from governance.reviews.reviewers.models import Assignment

from . import facts

_AT_ONCE: Final = 2000
_COPY: Final = "COPY governance_assignment (id, item_id, stage, reviewer_id, state, resolution, assigned_at) FROM STDIN"


def assign(campaign: Campaign, *, after: int = 0, upto: int | None = None, load: Counter[str] | None = None) -> int:
    """Assign each item of a campaign that is being staged, or those of some numbers; returns how many got no reviewer.

    A caller that goes on in steps passes the `load` of each reviewer so far, which grows.
    """
    unresolved, load = 0, _load(campaign) if load is None else load
    items = ReviewItem.objects.filter(campaign=campaign, state=ReviewItem.State.IN_REVIEW, number__gt=after)
    items = items if upto is None else items.filter(number__lte=upto)
    for ids in batched(cursors.in_parts(items.order_by("number").values_list("pk", flat=True)), _AT_ONCE):
        unresolved += _ask(ids, 1, load=load, cap=campaign.load_cap)
    return unresolved


def _load(campaign: Campaign) -> Counter[str]:
    """Count what each reviewer has of a campaign so far."""
    rows = Assignment.objects.filter(item__campaign=campaign, reviewer__isnull=False).order_by()
    return Counter(dict(rows.values_list("reviewer__login").annotate(n=Count("pk"))))


def ask_next(items: Iterable[UUID], stage: int) -> None:
    """Ask the next reviewer in the chain of a stage, which no person has answered or one has abstained from.

    The items are of one campaign, whose load cap counts the items of both stages.
    """
    if ids := list(items):
        campaign = Campaign.objects.get(items=ids[0])
        _ask(ids, stage, load=_kept_load(campaign), cap=campaign.load_cap)


def _kept_load(campaign: Campaign) -> Counter[str]:
    """Return the load of a campaign that has begun, from its tallies, since there may be a million items."""
    return Counter({row["login"]: row["all"] for row in tallies.reviewers(campaign) if row["login"]})


def _ask(ids: Iterable[UUID], stage: int, *, load: Counter[str], cap: int | None) -> int:
    """Assign one stage of some items; `load` counts what each reviewer got, and grows. Returns how many got none.

    The chain is followed once for items with the same people, until a person reaches the `cap`. Of a group, the member
    with the least is taken for each item.
    """
    now, rows = clock.now(), []
    busy = _full(load, cap)
    made: dict[ItemPeople, _Choosing] = {}
    for item_id, people in facts.people_of_items(ids, stage):
        if people not in made:
            made[people] = _Choosing(replace(people, busy=busy) if busy else people, now, load)
        who, why = made[people].next(load)
        if who:
            load[who] += 1
            if load[who] == cap:
                busy |= {who}
                made.clear()
        rows.append((item_id, who, why))
    known = dict(Person.objects.filter(login__in={who for _, who, _ in rows if who}).values_list("login", "pk"))
    with connection.cursor() as cursor, cursor.copy(_COPY) as copied:
        for item, who, why in rows:
            copied.write_row((uuid4(), item, stage, known.get(who or ""), "assigned", why, now))
    return sum(who is None for _, who, _ in rows)


class _Choosing:
    """Who of those asked has least, item by item: a heap of what each had when last looked at, which only grows."""

    def __init__(self, people: ItemPeople, now: datetime, load: Counter[str]) -> None:
        """Begin with what each of those whom the items ask has."""
        self._route, self._people, self._now = routing.reviewers(people), people, now
        self._least = [(load[who], who) for who in self._route.asked]
        self._evidence: dict[str | None, str] = {}
        heapq.heapify(self._least)

    def next(self, load: Counter[str]) -> tuple[str | None, str]:
        """Return who is asked, None where the item is unassigned, and what is stored of it."""
        while self._least and self._least[0][0] != load[self._least[0][1]]:
            heapq.heapreplace(self._least, (load[self._least[0][1]], self._least[0][1]))
        who = self._least[0][1] if self._least else None
        if who not in self._evidence:
            self._evidence[who] = json.dumps(evidence(self._route, who, self._people, self._now))
        return who, self._evidence[who]


@transaction.atomic
def reassign(item_id: UUID, to: Person, *, by: Person, reason: str) -> Assignment:
    """Let another person answer an item. Raises NotFound, ReasonRequired, NotUnderWay, ConflictOfInterest."""
    if not reason.strip():
        raise ReasonRequired
    old = locked(item_id)
    people = facts.people_of(item_id, old.stage)
    to.refresh_from_db(fields=["is_active"])
    if (bar := against(to, people)) is not None:
        raise ConflictOfInterest(who=to.login, why=bar.value)
    return pass_to(old, to, by_hand(to, review_rules.ASSIGNED, people, by=by), by=by.principal, reason=reason)


def evidence(route: Route, who: str | None, people: ItemPeople, at: datetime) -> dict[str, Any]:
    """Return what is stored of a reviewer; `provisions`: they own the system, and may let in what they answer for."""
    provisions = who is not None and who == people.system_owner
    return {**route.as_evidence(at, chosen=who), "provisions": provisions, "engine": review_rules.ENGINE}


def by_hand(to: Person, rule: str, people: ItemPeople, *, by: Person) -> dict[str, Any]:
    """Return what is stored of a reviewer whom a person named, by which rule, or who took the item."""
    route = Route("", frozenset({to.login}), rule, ())
    return {**evidence(route, to.login, people, clock.now()), "by": str(by.principal)}


def successors(item_id: UUID, *, by: Person) -> list[Person]:
    """Return whom a reviewer may hand an item on to: the people of its chain without a conflict of interest."""
    live = Assignment.objects.filter(item=item_id, state=Assignment.State.ASSIGNED).first()
    if live is None:
        return []
    people = dict(facts.people_of_items([item_id], live.stage))[item_id]
    rows = Person.objects.filter(login__in=people.could_be_asked - people.abstained, is_active=True).exclude(pk=by.pk)
    rows = rows.exclude(pk=live.reviewer_id) if live.reviewer_id else rows
    return [each for each in rows.order_by("name") if against(each, people) is None]


@transaction.atomic
def hand_on(item_id: UUID, to: Person, *, by: Person, reason: str) -> Assignment:
    """Give an item that a reviewer is asked about to another person of its chain, with a reason.

    Raises NotFound, NotTheReviewer, ReasonRequired, NotUnderWay, ConflictOfInterest.
    """
    hold([item_id])  # whose it is may change while somebody else answers it
    mine = Assignment.objects.filter(item=item_id, state=Assignment.State.ASSIGNED)
    if not mine.filter(Q(reviewer=by) | Q(reviewer__in=delegations.delegators_of(by))).exists():
        raise NotTheReviewer
    if to not in successors(item_id, by=by):
        raise ConflictOfInterest(who=to.login)
    return reassign(item_id, to, by=by, reason=reason)


def hold(items: Iterable[UUID]) -> None:
    """Hold items exclusively, and before them their campaign together with others.

    Every writer holds in this order: the campaign, its items by their numbers, their assignments. So of two that meet
    one waits for the other, and there is no deadlock.
    """
    ids = list(items)
    with connection.cursor() as cursor:
        cursor.execute(_CAMPAIGNS, [ids])
    list(ReviewItem.objects.filter(pk__in=ids).order_by("number").select_for_update().values_list("pk"))


_CAMPAIGNS: Final = """
SELECT 1 FROM governance_campaign WHERE id IN (SELECT campaign_id FROM governance_reviewitem WHERE id = ANY(%s::uuid[]))
FOR SHARE
"""


def locked(item_id: UUID) -> Assignment:
    """Lock an item and its live assignment, which may have no reviewer. Raises NotFound, NotUnderWay."""
    hold([item_id])
    rows = Assignment.objects.select_for_update(of=("self",)).select_related(
        "item__campaign", "item__agent", "item__system", "reviewer"
    )
    live = rows.filter(item=item_id, state=Assignment.State.ASSIGNED, item__state=ReviewItem.State.IN_REVIEW).first()
    if live is None:
        raise NotFound
    if live.item.campaign.state not in (Campaign.State.STAGED, Campaign.State.ACTIVE, Campaign.State.PAUSED):
        raise NotUnderWay
    return live


def against(person: Person, people: ItemPeople, accounts: Sequence[Person] | None = None) -> Reason | None:
    """Return the rule by which a person may not answer, through any of their accounts; None where they may."""
    if not person.is_active and person.login not in people.active:
        return Reason.INACTIVE
    accounts = independence.accounts_of(person) if accounts is None else accounts
    return rules.conflict([account.login for account in accounts], people)


def pass_to(
    old: Assignment,
    to: Person | None,
    resolution: dict[str, Any],
    *,
    by: Principal,
    reason: str,
    action: Action = Action.REVIEW_REASSIGNED,
) -> Assignment:
    """Let another person answer, or leave it unassigned, with how that came about; the old assignment stays."""
    Assignment.objects.filter(pk=old.pk).update(state=Assignment.State.REASSIGNED)
    new = Assignment.objects.create(
        item=old.item, stage=old.stage, reviewer=to, resolution=resolution, assigned_at=clock.now()
    )
    Assignment.objects.filter(pk=old.pk).update(replaced_by=new)
    about = [*item_links.about(old.item), *(f"person:{person.login}" for person in (old.reviewer, to) if person)]
    detail = {"from": old.reviewer.login if old.reviewer else None, "to": to.login if to else None, **resolution}
    log.record(action, about=about, by=by, reason=reason, detail=detail)
    return new


def reassign_leavers(limit: int = 500, *, who: str | None = None) -> int:
    """Find another reviewer for open items whose reviewer (`who`, or any) has left; returns how many changed hands.

    So too where mail to the reviewer came back and they have not opened the item.
    """
    live = Assignment.objects.filter(state=Assignment.State.ASSIGNED, item__campaign__state=Campaign.State.ACTIVE)
    live = live.filter(reviewer__login=who) if who else live
    unreachable = list(Person.objects.filter(facts.came_back()).values_list("pk", flat=True))
    lost = (
        (live.filter(reviewer__is_active=False), "The reviewer has left."),
        (live.filter(reviewer__in=unreachable, opened_at=None), "Mail to the reviewer came back."),
    )
    return sum(_pass_on(rows, limit, reason) for rows, reason in lost)


def _full(load: Counter[str], cap: int | None) -> frozenset[str]:
    return frozenset(login for login, count in load.items() if cap is not None and count >= cap)


def _pass_on(rows: QuerySet[Assignment], limit: int, reason: str) -> int:
    changed = 0
    for item_id in list(rows.values_list("item", flat=True)[:limit]):
        try:
            changed += _pass_one_on(rows, item_id, reason)
        except (NotFound, NotUnderWay):
            continue  # it was answered, or its campaign paused or closed, since it was looked at
    return changed


@transaction.atomic
def _pass_one_on(rows: QuerySet[Assignment], item_id: UUID, reason: str) -> bool:
    """Ask the next reviewer about one item, or leave it unassigned. Raises NotFound, NotUnderWay."""
    old = locked(item_id)
    if not rows.filter(pk=old.pk).exists():
        return False  # another worker was quicker
    people = facts.people_of(item_id, old.stage)
    load = _kept_load(old.item.campaign)
    route = routing.reviewers(replace(people, busy=_full(load, old.item.campaign.load_cap)))
    who = routing.least_busy(route, load)
    to = Person.objects.filter(login=who or "").first()
    pass_to(old, to, evidence(route, who, people, clock.now()), by=SYSTEM, reason=reason)
    return True
