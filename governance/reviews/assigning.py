"""Who answers each item: resolved when the campaign begins, again when a reviewer leaves, or named by hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import batched
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import F

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.errors import NotFound, ReasonRequired
from entitlements.models import GrantSubject, Membership, Person
from governance import reviewing
from governance.models import AccessRequest, Assignment, Campaign, PopulationRow, ReviewItem
from governance.reviewing import Around

from .errors import ConflictOfInterest, NotUnderWay

_AT_ONCE: Final = 2000


def assign(campaign: Campaign) -> int:
    """Assign each item of a campaign that is about to begin; returns how many found nobody."""
    now, unresolved = clock.now(), 0
    items = ReviewItem.objects.filter(campaign=campaign).order_by("number").values_list("pk", flat=True)
    for ids in batched(items.iterator(), _AT_ONCE):
        rows = []
        for item_id, around in around_items(ids):
            choice = reviewing.resolve(around)
            unresolved += choice.reviewer is None
            rows.append((item_id, choice.reviewer, choice.as_evidence(now)))
        known = dict(Person.objects.filter(login__in={who for _, who, _ in rows if who}).values_list("login", "pk"))
        Assignment.objects.bulk_create(
            Assignment(item_id=item, reviewer_id=known.get(who or ""), resolution=why, assigned_at=now)
            for item, who, why in rows
        )
    return unresolved


def around_items(ids: Iterable[UUID]) -> Iterator[tuple[UUID, Around]]:
    """Read the people around some items as they are now, in a fixed number of statements."""
    ids = list(ids)
    requesters, beneficiaries = _requesters(ids), _beneficiaries(ids)
    rows = ReviewItem.objects.filter(pk__in=ids).values(
        item=F("pk"),
        sponsor=F("agent__sponsor__login"),
        sponsor_on=F("agent__sponsor__is_active"),
        owner=F("agent__owner__login"),
        manager=F("agent__sponsor__manager__login"),
        manager_on=F("agent__sponsor__manager__is_active"),
        system_owner=F("system__owner__login"),
        system_owner_on=F("system__owner__is_active"),
    )
    for row in rows.order_by("number"):
        yield (
            row["item"],
            Around(
                sponsor=row["sponsor"],
                owner=row["owner"],
                system_owner=row["system_owner"],
                manager=row["manager"],
                requesters=frozenset(requesters[row["item"]]),
                beneficiaries=frozenset(beneficiaries[row["item"]]),
                active=frozenset(
                    who
                    for who, is_active in (
                        (row["sponsor"], row["sponsor_on"]),
                        (row["manager"], row["manager_on"]),
                        (row["system_owner"], row["system_owner_on"]),
                    )
                    if who and is_active
                ),
            ),
        )


def _requesters(ids: list[UUID]) -> dict[UUID, set[str]]:
    """Name who stands behind the asks: the person, and who owned an agent that asked for itself, then and now."""
    of_item = dict(_requests_of(ids))
    found: dict[UUID, set[str]] = defaultdict(set)
    asked = AccessRequest.objects.filter(pk__in=of_item).values_list(
        "pk", "requested_by__login", "requested_as", "owner_then__login", "agent__owner__login"
    )
    for pk, person, name, *owners in asked:
        found[of_item[pk]] |= {who for who in (person, *(owners if name.startswith("agent:") else ())) if who}
    return found


def _requests_of(ids: list[UUID]) -> Iterator[tuple[UUID, UUID]]:
    rows = PopulationRow.objects.filter(item__in=ids, grant__request_id__isnull=False)
    for request_id, item in rows.values_list("grant__request_id", "item"):
        if request_id is not None:
            yield request_id, item


def _beneficiaries(ids: list[UUID]) -> dict[UUID, set[str]]:
    of_grant = dict(PopulationRow.objects.filter(item__in=ids).values_list("grant", "item"))
    found: dict[UUID, set[str]] = defaultdict(set)
    groups: dict[int, set[UUID]] = defaultdict(set)
    subjects = GrantSubject.objects.filter(grant__in=of_grant).values_list("grant", "person__login", "group")
    for grant, login, group in subjects:
        if login:
            found[of_grant[grant]].add(login)
        if group:
            groups[group].add(of_grant[grant])
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
    around = dict(around_items([item_id]))[item_id]
    to.refresh_from_db(fields=["is_active"])
    why = reviewing.conflict(to.login, with_active(around, {to.login} if to.is_active else set()))
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


def _live(item_id: UUID) -> Assignment:
    live = Assignment.objects.select_for_update(of=("self",)).select_related(
        "item__campaign", "item__agent", "reviewer"
    )
    old = live.filter(item=item_id, state=Assignment.State.ASSIGNED).first()
    if old is None:
        raise NotFound
    if old.item.campaign.state != Campaign.State.ACTIVE:
        raise NotUnderWay
    return old


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
    campaign = old.item.campaign
    people = [f"person:{who.login}" for who in (old.reviewer, to) if who]
    log.record(
        Action.REVIEW_REASSIGNED,
        about=[f"campaign:{campaign.slug}", f"item:{old.item.pk}", f"agent:{old.item.agent.slug}", *people],
        by=by,
        reason=reason,
        detail={"from": old.reviewer.login if old.reviewer else None, "to": to.login if to else None, **resolution},
    )
    return new


def reassign_leavers(limit: int = 500) -> int:
    """Find another reviewer for open items whose reviewer has left; returns how many items changed hands."""
    left = Assignment.objects.filter(
        state=Assignment.State.ASSIGNED, reviewer__is_active=False, item__campaign__state=Campaign.State.ACTIVE
    )
    changed = 0
    for item_id in left.values_list("item", flat=True)[:limit]:
        with transaction.atomic():
            old = _live(item_id)
            if old.reviewer is None or old.reviewer.is_active:
                continue  # somebody else was quicker
            choice = reviewing.resolve(dict(around_items([item_id]))[item_id])
            to = Person.objects.filter(login=choice.reviewer or "").first()
            _replace(old, to, choice.as_evidence(clock.now()), by=SYSTEM, reason="The reviewer has left.")
            changed += 1
    return changed
