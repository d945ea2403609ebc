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
from governance import cursors
from governance.deciders import review_rules
from governance.deciders.review_rules import Around, Found
from governance.out_of_office import delegations
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import item_links, tallies
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
    choosers: dict[Around, _Chooser] = {}
    for item_id, people in facts.people_around(ids, stage):
        if people not in choosers:
            choosers[people] = _Chooser(review_rules.find(replace(people, busy=busy) if busy else people), now, load)
        login, evidence = choosers[people].choose(load)
        if login:
            load[login] += 1
            if load[login] == cap:
                busy |= {login}
                choosers.clear()
        rows.append((item_id, login, evidence))
    keys = dict(Person.objects.filter(login__in={login for _, login, _ in rows if login}).values_list("login", "pk"))
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for item, login, evidence in rows:
            copy.write_row((uuid4(), item, stage, keys.get(login or ""), "assigned", evidence, now))
    return sum(login is None for _, login, _ in rows)


class _Chooser:
    """Chooses, item by item, the candidate with the least: a heap of what each had when last looked at."""

    def __init__(self, candidates: Found, now: datetime, load: Counter[str]) -> None:
        """Begin with what each candidate has."""
        self._candidates, self._now = candidates, now
        self._least = [(load[login], login) for login in candidates.people]
        self._evidence: dict[str | None, str] = {}
        heapq.heapify(self._least)

    def choose(self, load: Counter[str]) -> tuple[str | None, str]:
        """Return who is asked, None where there is no candidate, and the evidence of it as JSON."""
        while self._least and self._least[0][0] != load[self._least[0][1]]:
            heapq.heapreplace(self._least, (load[self._least[0][1]], self._least[0][1]))
        login = self._least[0][1] if self._least else None
        if login not in self._evidence:
            self._evidence[login] = json.dumps(self._candidates.choice(login).as_evidence(self._now))
        return login, self._evidence[login]


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


def by_hand(to: Person, rule: str, people: Around, *, by: Person) -> dict[str, Any]:
    """Return what is stored of a reviewer who was named by hand: by which rule, and by whom."""
    return {
        "chosen": to.login,
        "rule": rule,
        "skipped": [],
        "provisions": to.login == people.system_owner,
        "by": str(by.principal),
        "evaluated_at": clock.now().isoformat(),
        "engine": review_rules.ENGINE,
    }


def successors(item_id: UUID, *, by: Person) -> list[Person]:
    """Return whom a reviewer may hand an item on to: the people of its chain without a conflict of interest."""
    live = Assignment.objects.filter(item=item_id, state=Assignment.State.ASSIGNED).first()
    if live is None:
        return []
    people = facts.people_of(item_id, live.stage)
    rules = (*review_rules.rules(people.kind), *people.last)
    chain = {login for rule in rules for login in people.holders(rule) if login}
    rows = Person.objects.filter(login__in=chain - people.abstained, is_active=True).exclude(pk=by.pk)
    rows = rows.exclude(pk=live.reviewer_id) if live.reviewer_id else rows
    return [each for each in rows.order_by("name") if against(each, people) is None]


@transaction.atomic
def hand_on(item_id: UUID, to: Person, *, by: Person, reason: str) -> Assignment:
    """Give an item that a reviewer is asked about to another person of its chain, with a reason.

    Raises NotFound, NotTheReviewer, ReasonRequired, NotUnderWay, ConflictOfInterest.
    """
    hold([item_id])  # its reviewer may change while another person answers it
    live = Assignment.objects.filter(item=item_id, state=Assignment.State.ASSIGNED)
    if not live.filter(Q(reviewer=by) | Q(reviewer__in=delegations.places_of(by))).exists():
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


def against(person: Person, people: Around, accounts: Sequence[Person] | None = None) -> review_rules.Bar | None:
    """Return why a person may not answer, by any of their accounts; None where they may."""
    accounts = independence.accounts_of(person) if accounts is None else accounts
    active = people.active.union(each.login for each in accounts if each != person or person.is_active)
    bars = (review_rules.conflict(each.login, replace(people, active=active)) for each in accounts)
    return next((bar for bar in bars if bar is not None), None)


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
    choice = review_rules.resolve(replace(people, busy=_full(load, old.item.campaign.load_cap)), load)
    to = Person.objects.filter(login=choice.reviewer or "").first()
    pass_to(old, to, choice.as_evidence(clock.now()), by=SYSTEM, reason=reason)
    return True
