"""Who answers each stage of an item: resolved when it comes up, again when a reviewer leaves, or named by hand."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import batched
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.db.models import Count, F, Q

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements import independence
from entitlements.errors import NotFound, ReasonRequired
from entitlements.models import GrantSubject, Membership, Person, Role
from entitlements.words import Risk
from governance import delegations, reviewing
from governance.models import (
    AccessRequest,
    Approval,
    Assignment,
    Campaign,
    PopulationRow,
    ReviewDecision,
    ReviewItem,
)
from governance.reviewing import Around

from . import ending
from .errors import ConflictOfInterest, NotTheReviewer, NotUnderWay

_AT_ONCE: Final = 2000
_AROUND: Final = {
    "item": "pk",
    "sponsor": "agent__sponsor__login",
    "sponsor_on": "agent__sponsor__is_active",
    "owner": "agent__owner__login",
    "manager": "agent__sponsor__manager__login",
    "manager_on": "agent__sponsor__manager__is_active",
    "system_owner": "system__owner__login",
    "system_owner_on": "system__owner__is_active",
    "holder_login": "holder__login",
    "holder_on": "holder__is_active",
    "holders_manager": "holder__manager__login",
    "holders_manager_on": "holder__manager__is_active",
    "asked_first": "holder_first",
    "kind": "campaign__kind",
}
"""What is read of the people around an item."""
_COPY: Final = "COPY governance_assignment (id, item_id, stage, reviewer_id, state, resolution, assigned_at) FROM STDIN"


def assign(campaign: Campaign, *, after: int = 0, upto: int | None = None) -> int:
    """Assign each item of a campaign that is being staged, or those of some numbers; returns how many found nobody."""
    unresolved, load = 0, _load(campaign)
    items = ReviewItem.objects.filter(campaign=campaign, state=ReviewItem.State.IN_REVIEW, number__gt=after)
    items = items if upto is None else items.filter(number__lte=upto)
    for ids in batched(items.order_by("number").values_list("pk", flat=True).iterator(), _AT_ONCE):
        unresolved += _ask(ids, 1, load=load, cap=campaign.load_cap)
    return unresolved


def _load(campaign: Campaign) -> Counter[str]:
    """Count what each reviewer has of a campaign so far."""
    rows = Assignment.objects.filter(item__campaign=campaign, reviewer__isnull=False).order_by()
    return Counter(dict(rows.values_list("reviewer__login").annotate(n=Count("pk"))))


def ask_next(items: Iterable[UUID], stage: int) -> None:
    """Ask whoever is next in the chain of a stage, where nobody answered it or somebody could not judge."""
    if ids := list(items):
        _ask(ids, stage, load=Counter(), cap=None)


def _ask(ids: Iterable[UUID], stage: int, *, load: Counter[str], cap: int | None) -> int:
    """Assign one stage of some items; `load` counts what each reviewer got, and grows. Returns how many got nobody."""
    now, rows = clock.now(), []
    busy = frozenset(who for who, count in load.items() if cap is not None and count >= cap)
    for item_id, around in around_items(ids, stage):
        choice = reviewing.resolve(replace(around, busy=busy) if busy else around)
        if choice.reviewer:
            load[choice.reviewer] += 1
            if load[choice.reviewer] == cap:
                busy |= {choice.reviewer}
        rows.append((item_id, choice.reviewer, choice.as_evidence(now)))
    known = dict(Person.objects.filter(login__in={who for _, who, _ in rows if who}).values_list("login", "pk"))
    with connection.cursor() as cursor, cursor.copy(_COPY) as copied:
        for item, who, why in rows:
            copied.write_row((uuid4(), item, stage, known.get(who or ""), "assigned", json.dumps(why), now))
    return sum(who is None for _, who, _ in rows)


def around_items(ids: Iterable[UUID], stage: int = 1) -> Iterator[tuple[UUID, Around]]:
    """Read the people around a stage of some items as they are now, in a fixed number of statements."""
    ids = list(ids)
    requesters, beneficiaries, approvers = _requesters(ids), _beneficiaries(ids), _approvers(ids)
    answered, abstained = _answered(ids, stage)
    security, admins = _holding(Role.SECURITY), _holding(Role.ADMIN)
    rows: Any = ReviewItem.objects.filter(pk__in=ids).values(
        "risk", **{name: F(path) for name, path in _AROUND.items()}
    )
    for row in rows.order_by("number"):
        known = (
            (row["sponsor"], row["sponsor_on"]),
            (row["manager"], row["manager_on"]),
            (row["system_owner"], row["system_owner_on"]),
            (row["holder_login"], row["holder_on"]),
            (row["holders_manager"], row["holders_manager_on"]),
        )
        here = {who for who, is_active in known if who and is_active}
        yield (
            row["item"],
            Around(
                sponsor=row["sponsor"],
                owner=row["owner"],
                system_owner=row["system_owner"],
                manager=row["manager"] if row["sponsor"] else row["holders_manager"],
                kind=row["kind"],
                stage=stage,
                holder=row["holder_login"],
                holder_first=row["asked_first"],
                requesters=frozenset(requesters[row["item"]]),
                beneficiaries=frozenset(beneficiaries[row["item"]]),
                active=frozenset({*here, *security, *admins}),
                security=security,
                admins=admins,
                risk=Risk(row["risk"]),
                approvers=frozenset(approvers[row["item"]]),
                answered=frozenset(answered[row["item"]]),
                abstained=frozenset(abstained[row["item"]]),
            ),
        )


def _holding(role: Role) -> tuple[str, ...]:
    return tuple(Person.objects.holding(role).order_by("login").values_list("login", flat=True))


def _approvers(ids: list[UUID]) -> dict[UUID, set[str]]:
    """Name who said yes to what an item holds within the last ninety days."""
    of_request = _items_by_request(ids)
    found: dict[UUID, set[str]] = defaultdict(set)
    said = Approval.objects.filter(
        request__in=of_request,
        answer=Approval.Answer.APPROVED,
        answered_at__gt=clock.now() - reviewing.INDEPENDENCE,
    )
    for request, *people in said.values_list("request", "by__login", "in_place_of__login"):
        for item in of_request[request]:
            found[item] |= {who for who in people if who}
    return found


def _answered(ids: list[UUID], stage: int) -> tuple[dict[UUID, set[str]], dict[UUID, set[str]]]:
    """Name who answered another stage, for herself or in a place, and who could not judge this one."""
    answered: dict[UUID, set[str]] = defaultdict(set)
    abstained: dict[UUID, set[str]] = defaultdict(set)
    said = ReviewDecision.objects.filter(item__in=ids, taken_back=None)
    for item, at, verb, *people in said.values_list(
        "item", "stage", "verb", "decided_by__login", "assignment__reviewer__login"
    ):
        if verb == reviewing.Verb.ABSTAIN and at == stage:
            abstained[item] |= {who for who in people if who}
        elif verb != reviewing.Verb.ABSTAIN and at != stage:
            answered[item] |= {who for who in people if who}
    return answered, abstained


def _requesters(ids: list[UUID]) -> dict[UUID, set[str]]:
    """Name who stands behind the asks: the person, and who owned an agent that asked for itself, then and now."""
    of_request = _items_by_request(ids)
    found: dict[UUID, set[str]] = defaultdict(set)
    asked = AccessRequest.objects.filter(pk__in=of_request).values_list(
        "pk", "requested_by__login", "requested_as", "owner_then__login", "agent__owner__login"
    )
    for pk, person, name, *owners in asked:
        for item in of_request[pk]:
            found[item] |= {who for who in (person, *(owners if name.startswith("agent:") else ())) if who}
    return found


def _items_by_request(ids: list[UUID]) -> dict[UUID, set[UUID]]:
    rows = PopulationRow.objects.filter(item__in=ids, grant__request_id__isnull=False)
    found: dict[UUID, set[UUID]] = defaultdict(set)
    for request_id, item in rows.values_list("grant__request_id", "item_id"):
        if request_id is not None:
            found[request_id].add(item)
    return found


def _beneficiaries(ids: list[UUID]) -> dict[UUID, set[str]]:
    of_grant: dict[UUID, set[UUID]] = defaultdict(set)
    rows = PopulationRow.objects.filter(item__in=ids, grant__isnull=False)
    for held, item in rows.values_list("grant_id", "item_id"):
        if held is not None:
            of_grant[held].add(item)
    found: dict[UUID, set[str]] = defaultdict(set)
    groups: dict[int, set[UUID]] = defaultdict(set)
    subjects = GrantSubject.objects.filter(grant__in=of_grant).values_list("grant", "person__login", "group")
    for grant, login, group in subjects:
        for item in of_grant[grant]:
            if login:
                found[item].add(login)
            if group:
                groups[group].add(item)
    for group, login in Membership.objects.filter(group__in=groups).values_list("group", "person__login"):
        for item in groups[group]:
            found[item].add(login)
    return found


@transaction.atomic
def reassign(item_id: UUID, to: Person, *, by: Person, reason: str) -> Assignment:
    """Let another person answer an item. Raises NotFound, ReasonRequired, NotUnderWay, ConflictOfInterest."""
    if not reason.strip():
        raise ReasonRequired
    old = _live(item_id)
    around = dict(around_items([item_id], old.stage))[item_id]
    to.refresh_from_db(fields=["is_active"])
    why = against(to, around)
    if why is not None:
        raise ConflictOfInterest(who=to.login, why=why.value)
    resolution = {
        "chosen": to.login,
        "rule": reviewing.ASSIGNED,
        "skipped": [],
        "by": str(by.principal),
        "evaluated_at": clock.now().isoformat(),
        "engine": reviewing.ENGINE,
    }
    return _replace(old, to, resolution, by=by.principal, reason=reason)


def successors(item_id: UUID, *, by: Person) -> list[Person]:
    """Return whom a reviewer may hand an item on to: who is in its chain, and nothing stands against."""
    live = Assignment.objects.filter(item=item_id, state=Assignment.State.ASSIGNED).first()
    if live is None:
        return []
    around = dict(around_items([item_id], live.stage))[item_id]
    chain = {who for rule in reviewing.rules(around.kind) for who in around.holders(rule) if who}
    rows = Person.objects.filter(login__in=chain - around.abstained, is_active=True).exclude(pk=by.pk)
    rows = rows.exclude(pk=live.reviewer_id) if live.reviewer_id else rows
    return [each for each in rows.order_by("name") if against(each, around) is None]


@transaction.atomic
def hand_on(item_id: UUID, to: Person, *, by: Person, reason: str) -> Assignment:
    """Give an item that one is asked about to somebody in its chain, with a reason.

    Raises NotFound, NotTheReviewer, ReasonRequired, NotUnderWay, ConflictOfInterest.
    """
    mine = Assignment.objects.filter(item=item_id, state=Assignment.State.ASSIGNED)
    if not mine.filter(Q(reviewer=by) | Q(reviewer__in=delegations.places_of(by))).exists():
        raise NotTheReviewer
    if to not in successors(item_id, by=by):
        raise ConflictOfInterest(who=to.login)
    return reassign(item_id, to, by=by, reason=reason)


def _live(item_id: UUID) -> Assignment:
    live = Assignment.objects.select_for_update(of=("self",)).select_related(
        "item__campaign", "item__agent", "item__system", "reviewer"
    )
    old = live.filter(item=item_id, state=Assignment.State.ASSIGNED).first()
    if old is None:
        raise NotFound
    if old.item.campaign.state not in (Campaign.State.STAGED, Campaign.State.ACTIVE, Campaign.State.PAUSED):
        raise NotUnderWay
    return old


def against(person: Person, around: Around) -> reviewing.Bar | None:
    """Say why somebody may not answer, through whichever account; None when nothing stands against her."""
    for each in independence.accounts_of(person):
        others = {each.login} if each != person or person.is_active else set[str]()
        if (why := reviewing.conflict(each.login, with_active(around, others))) is not None:
            return why
    return None


def with_active(around: Around, also: AbstractSet[str]) -> Around:
    """Return the same people, with some more known to be active."""
    return replace(around, active=around.active | also)


def _replace(
    old: Assignment, to: Person | None, resolution: dict[str, Any], *, by: Principal, reason: str
) -> Assignment:
    Assignment.objects.filter(pk=old.pk).update(state=Assignment.State.REASSIGNED)
    new = Assignment.objects.create(
        item=old.item, stage=old.stage, reviewer=to, resolution=resolution, assigned_at=clock.now()
    )
    Assignment.objects.filter(pk=old.pk).update(replaced_by=new)
    people = [f"person:{who.login}" for who in (old.reviewer, to) if who]
    log.record(
        Action.REVIEW_REASSIGNED,
        about=[*ending.about(old.item), *people],
        by=by,
        reason=reason,
        detail={"from": old.reviewer.login if old.reviewer else None, "to": to.login if to else None, **resolution},
    )
    return new


def reassign_leavers(limit: int = 500, *, who: str | None = None) -> int:
    """Find another reviewer for open items whose reviewer (`who`, or any) has left; returns how many changed hands."""
    left = Assignment.objects.filter(
        state=Assignment.State.ASSIGNED, reviewer__is_active=False, item__campaign__state=Campaign.State.ACTIVE
    )
    left = left.filter(reviewer__login=who) if who else left
    changed = 0
    for item_id in left.values_list("item", flat=True)[:limit]:
        with transaction.atomic():
            old = _live(item_id)
            if old.reviewer is None or old.reviewer.is_active:
                continue  # somebody else was quicker
            choice = reviewing.resolve(dict(around_items([item_id], old.stage))[item_id])
            to = Person.objects.filter(login=choice.reviewer or "").first()
            _replace(old, to, choice.as_evidence(clock.now()), by=SYSTEM, reason="The reviewer has left.")
            changed += 1
    return changed
