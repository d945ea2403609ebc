"""The people around review items, read as they are now: as many statements for any number of items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import F, Q

from audit import clock
from entitlements.people import mailboxes
from entitlements.people.models import Group, Membership, Person, Role
from entitlements.words import Risk
from governance.approvals.models import Approval
from governance.conflicts_of_interest.routing import GROUP, SPOT_CHECK, ItemPeople, Stage
from governance.requests.models import AccessRequest
from governance.reviews.items import review_rules

_ITEMS: Final = """
SELECT i.id, i.risk, c.kind, i.holder_first, o.login, h.login,
    s.login, s.is_active, m.login, m.is_active, w.login, w.is_active, h.login, h.is_active, n.login, n.is_active,
    g.requests, g.people, g.groups, g.owned, c.strategies ->> i.risk, c.fallback_group_id,
    CASE WHEN c.asks_owner THEN c.owner_id END
FROM governance_reviewitem i JOIN governance_campaign c ON c.id = i.campaign_id
LEFT JOIN entitlements_agent a ON a.id = i.agent_id
LEFT JOIN entitlements_person s ON s.id = a.sponsor_id LEFT JOIN entitlements_person m ON m.id = s.manager_id
LEFT JOIN entitlements_person o ON o.id = a.owner_id
LEFT JOIN entitlements_system y ON y.id = i.system_id LEFT JOIN entitlements_person w ON w.id = y.owner_id
LEFT JOIN entitlements_person h ON h.id = i.holder_id LEFT JOIN entitlements_person n ON n.id = h.manager_id
CROSS JOIN LATERAL (
    SELECT array_agg(DISTINCT g.request_id) FILTER (WHERE g.request_id IS NOT NULL) AS requests,
           array_agg(DISTINCT p.login ORDER BY p.login) FILTER (WHERE p.login IS NOT NULL) AS people,
           array_agg(DISTINCT b.group_id ORDER BY b.group_id) FILTER (WHERE b.group_id IS NOT NULL) AS groups,
           array_agg(DISTINCT r.payload::jsonb ->> 'owner') FILTER (WHERE c.state <> 'staging'
               AND (r.grant_id IS NOT NULL OR i.subject_kind = 'agent')) AS owned
    FROM governance_populationrow r LEFT JOIN entitlements_grant g ON g.id = r.grant_id
    LEFT JOIN entitlements_grantsubject b ON b.grant_id = g.id LEFT JOIN entitlements_person p ON p.id = b.person_id
    WHERE r.item_id = i.id) g
WHERE i.id = ANY(%s::uuid[]) ORDER BY i.number
"""
FEWEST: Final = 2
"""How many people a fallback group has at least: one alone would be a person named beforehand."""
_SPONSORS: Final = ("request__sponsor_then__login", "request__agent__sponsor__login")
_ANSWERS: Final = """
SELECT d.item_id, d.stage, d.verb, p.login, r.login FROM governance_reviewdecision d
JOIN entitlements_person p ON p.id = d.decided_by_id JOIN governance_assignment a ON a.id = d.assignment_id
LEFT JOIN entitlements_person r ON r.id = a.reviewer_id
WHERE d.item_id = ANY(%s::uuid[]) AND NOT EXISTS (SELECT FROM governance_takenback t WHERE t.decision_id = d.id)
"""


class _Row(NamedTuple):
    """One item as `_ITEMS` reads it, column by column."""

    item: UUID
    risk: str
    kind: str
    asked_first: bool
    owner: str | None
    holder: str | None
    people: tuple[Any, ...]
    """The login of each person around the item, followed by whether they are active."""
    requests: Sequence[UUID]
    beneficiaries: Sequence[str]
    groups: Sequence[int]
    owned: Sequence[str | None]
    strategy: str | None
    fallback: int | None
    campaign_owner: int | None

    @property
    def active(self) -> set[str]:
        """The logins of the people around the item who are active."""
        pairs = zip(self.people[::2], self.people[1::2], strict=True)
        return {login for login, is_active in pairs if login and is_active}


def _row(*columns: Any) -> _Row:  # noqa: ANN401 - what a statement returned
    requests, beneficiaries, groups, owned = (each or () for each in columns[16:20])
    item, risk, kind, asked_first, owner, holder = columns[:6]
    lists = (columns[6:16], requests, beneficiaries, groups, owned)
    return _Row(item, risk, kind, asked_first, owner, holder, *lists, *columns[20:])


@cache
def _is_one_persons(risk: str, strategy: str | None) -> bool:
    return review_rules.stages(Risk(risk), {risk: strategy} if strategy else {}) == 1


def people_of_items(ids: Iterable[UUID], stage: int = 1) -> Iterator[tuple[UUID, ItemPeople]]:
    """Read the people around a stage of some items, in the order of their numbers."""
    ids = list(ids)
    rows = [_row(*columns) for columns in _read(_ITEMS, ids)]
    requesters, approvers, gave = _behind({request for row in rows for request in row.requests})
    members = _members({group for row in rows for group in row.groups})
    answered, abstained = _answered(ids, stage)
    security, admins = _holding(Role.SECURITY), _holding(Role.ADMIN)
    lasts = _asked_last(rows)
    unreachable = frozenset(Person.objects.filter(came_back()).values_list("login", flat=True))
    served, active = dict[tuple[Any, ...], frozenset[str]](), dict[tuple[Any, ...], frozenset[str]]()
    for row in rows:
        sponsor, manager, system_owner, _holder, holders_manager = row.people[::2]
        key = (tuple(row.beneficiaries), tuple(row.groups))
        if key not in served:
            served[key] = frozenset(row.beneficiaries).union(*(members[group] for group in row.groups))
        last = lasts[row.fallback, row.campaign_owner]
        if (row.people, last) not in active:
            active[row.people, last] = frozenset({*row.active, *security, *admins, *last.active})
        approvers_count = stage == SPOT_CHECK or Risk(row.risk).rank >= Risk.HIGH.rank
        alone = not row.asked_first and _is_one_persons(row.risk, row.strategy)
        yield (
            row.item,
            ItemPeople(
                sponsor=sponsor,
                system_owner=system_owner,
                manager=manager if sponsor else holders_manager,
                kind=row.kind,
                stage=stage,
                holder=row.holder if row.asked_first else None,
                asked_first=row.holder if row.asked_first and stage == 1 else None,
                own=frozenset(filter(None, [row.holder])),
                owners=frozenset(filter(None, [row.owner, *row.owned])),
                requesters=_of_requests(requesters, row.requests),
                beneficiaries=served[key],
                active=active[row.people, last],
                security=security,
                admins=admins,
                approvers=_of_requests(approvers, row.requests if approvers_count else ()),
                answered=frozenset(answered.get(row.item, ())),
                abstained=frozenset(abstained.get(row.item, ())),
                unreachable=unreachable,
                gave=_of_requests(gave, row.requests if alone else ()).intersection(filter(None, [system_owner])),
                fallback=last.group,
                groups={f"{GROUP}{last.group}": last.members} if last.group else {},
                runs_it=last.campaign_owner,
            ),
        )


def _of_requests(people: Mapping[UUID, set[str]], requests: Iterable[UUID]) -> frozenset[str]:
    return frozenset[str]().union(*(people[request] for request in requests))


def people_of(item: UUID, stage: int) -> ItemPeople:
    """Read the people around a stage of one item."""
    return dict(people_of_items([item], stage))[item]


def people_at(items: Iterable[tuple[UUID, int]]) -> dict[UUID, ItemPeople]:
    """Read the people around some items, each at a stage of its own."""
    of_stage: dict[int, list[UUID]] = defaultdict(list)
    for item, stage in items:
        of_stage[stage].append(item)
    return {item: people for stage, ids in sorted(of_stage.items()) for item, people in people_of_items(ids, stage)}


def came_back() -> Q:
    """Select the people of whom mail to their present address came back."""
    return ~Q(notice_settings__bad_address="") & Q(notice_settings__bad_address=F("email"))


def _read(statement: str, ids: list[UUID]) -> list[Any]:
    """Read by the items' own index, whatever the planner knows: while a review is staged it knows nothing of them."""
    with connection.cursor() as cursor:
        if not connection.in_atomic_block:
            cursor.execute(statement, [ids])
            return list(cursor.fetchall())
        cursor.execute("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off")
        cursor.execute(statement, [ids])
        rows = list(cursor.fetchall())
        cursor.execute("SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on")
        return rows


def _holding(role: Role) -> tuple[str, ...]:
    return tuple(Person.objects.holding(role).order_by("login").values_list("login", flat=True))


class FallbackGroup(NamedTuple):
    """A group by its short name, with its people and which of them are active; without people where it is too small."""

    slug: str = ""
    members: frozenset[str] = frozenset()
    active: frozenset[str] = frozenset()


def fallback_groups(groups: Iterable[int]) -> dict[int, FallbackGroup]:
    """Read who would be asked in each group now; accounts of one mailbox are one person."""
    slugs: dict[int, str] = {}
    members, active, humans = (
        defaultdict[int, set[str]](set),
        defaultdict[int, set[str]](set),
        defaultdict[int, set[str]](set),
    )
    columns = ("pk", "slug", "people__login", "people__is_active", "people__email")
    for pk, slug, login, is_active, email in Group.objects.filter(pk__in=set(groups)).values_list(*columns):
        slugs[pk] = slug
        members[pk] |= {login} - {None}
        if is_active:
            active[pk].add(login)
            humans[pk].add(mailboxes.human(email, login))
    return {
        pk: FallbackGroup(slug, frozenset(members[pk]), frozenset(active[pk]))
        if len(humans[pk]) >= FEWEST
        else FallbackGroup(slug)
        for pk, slug in slugs.items()
    }


class _Last(NamedTuple):
    """Who is asked once a chain is through: a group and the owner of the campaign, and which of them are active."""

    group: str
    members: frozenset[str]
    campaign_owner: str | None
    active: frozenset[str]


def _asked_last(rows: Sequence[_Row]) -> dict[tuple[int | None, int | None], _Last]:
    """Read who is asked last, by the group and the owner that a campaign names for it."""
    groups = fallback_groups({row.fallback for row in rows if row.fallback})
    owners = Person.objects.in_bulk({row.campaign_owner for row in rows if row.campaign_owner})
    lasts = {}
    for key in {(row.fallback, row.campaign_owner) for row in rows}:
        group, owner = groups.get(key[0] or 0, FallbackGroup()), owners.get(key[1] or 0)
        active = {owner.login} if owner and owner.is_active else set[str]()
        lasts[key] = _Last(group.slug, group.members, owner.login if owner else None, group.active | active)
    return lasts


def _behind(requests: set[UUID]) -> tuple[dict[UUID, set[str]], dict[UUID, set[str]], dict[UUID, set[str]]]:
    """Read who stands behind each request, who approved it within the last ninety days, and who ever gave it.

    Behind it stand the requester, and the owners, then and now, of an agent that requested for itself. A sponsor who
    approves as such answers for the need; all others who approve let the agent in.
    """
    requesters: dict[UUID, set[str]] = defaultdict(set)
    approvers: dict[UUID, set[str]] = defaultdict(set)
    gave: dict[UUID, set[str]] = defaultdict(set)
    if not requests:
        return requesters, approvers, gave
    people = ("requested_by__login", "requested_as", "owner_then__login", "agent__owner__login")
    for pk, person, name, *owners in AccessRequest.objects.filter(pk__in=requests).values_list("pk", *people):
        requesters[pk] |= {login for login in (person, *(owners if name.startswith("agent:") else ())) if login}
    approvals, lately = Approval.objects.filter(request__in=requests), clock.now() - review_rules.INDEPENDENCE
    columns = ("request", "answered_at", "stage", *_SPONSORS, "by__login", "in_place_of__login")
    for row in approvals.filter(answer=Approval.Answer.APPROVED).values_list(*columns):
        request, at, stage, then, now, *voices = row
        answered = {login for login in voices if login}
        gave[request] |= answered - ({then or now} if stage == Stage.SPONSOR else set())
        if at > lately:
            approvers[request] |= answered
    return requesters, approvers, gave


def _members(groups: set[int]) -> dict[int, set[str]]:
    members: dict[int, set[str]] = defaultdict(set)
    if groups:
        for group, login in Membership.objects.filter(group__in=groups).values_list("group", "person__login"):
            members[group].add(login)
    return members


def _answered(ids: list[UUID], stage: int) -> tuple[dict[UUID, set[str]], dict[UUID, set[str]]]:
    """Read who answered another stage, as reviewer or in their place, and who could not judge this one."""
    answered: dict[UUID, set[str]] = defaultdict(set)
    abstained: dict[UUID, set[str]] = defaultdict(set)
    for item, at, verb, *people in _read(_ANSWERS, ids):
        if verb == review_rules.Verb.ABSTAIN and at == stage:
            abstained[item] |= {login for login in people if login}
        elif verb != review_rules.Verb.ABSTAIN and at != stage:
            answered[item] |= {login for login in people if login}
    return answered, abstained
