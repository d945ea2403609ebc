"""Pure: who is asked to decide. A chain names the offices that are asked one after another; conflicts are passed over.

Nothing here reads a row or a clock. People are logins. A route that asks no person is a refusal with its reasons, or an
unassigned item; a stage is never left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from .rules import Reason, Standing, skip_reason

GROUP: Final = "group:"
"""Before the short name of a group that is asked."""
UNASSIGNED: Final = "unresolved"
CAMPAIGN_OWNER: Final = "campaign_owner"
SPOT_CHECK: Final = 3
"""The stage after every stage: another person is asked about some of the decisions, without knowing them."""


class Stage(StrEnum):
    """In whose name a person approves a request. `manager` replaces the sponsor where the sponsor is the agent's user.

    A stage may also be a named group, `group:<slug>`. No stage is the technical owner's, who never approves.
    """

    SPONSOR = "sponsor"
    MANAGER = "manager"
    SYSTEM_OWNER = "system_owner"
    SECURITY = "security"


type Chain = Sequence[tuple[str, ...]]
"""Offices in the order in which they are asked. A step of two offices waits for either of them."""

# Each step is tried when the one before it has no person left.
_APPROVERS: Final[Mapping[str, Chain]] = {
    Stage.SPONSOR: ((Stage.SPONSOR,), (Stage.SYSTEM_OWNER,), (Stage.SECURITY,)),
    Stage.MANAGER: ((Stage.MANAGER, Stage.SYSTEM_OWNER), (Stage.SECURITY,)),
    Stage.SYSTEM_OWNER: ((Stage.SYSTEM_OWNER,), (Stage.SECURITY,)),
    Stage.SECURITY: ((Stage.SECURITY,),),
}
_BY_AGENT: Final = (("sponsor", "system_owner", "manager"), ("system_owner", "security", "manager"))
_BY_SYSTEM: Final = (("system_owner", "sponsor", "manager"), ("security", "sponsor", "manager"))
_REVIEWERS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "agent_owner": _BY_AGENT,
    "micro": _BY_AGENT,
    "resource_owner": _BY_SYSTEM,
    "privileged_tools": _BY_SYSTEM,
    "findings": _BY_SYSTEM,
    "delegation": (("holder", "sponsor", "system_owner", "manager"), ("sponsor", "system_owner", "manager")),
    "ownership": (("sponsor", "manager", "security"), ("manager", "security")),
    "credential": (("holder", "sponsor", "manager", "security"), ("sponsor", "manager", "security")),
    "entitlement_definition": (("system_owner", "security"), ("security",)),
    "console_access": (("manager", "admin", "security"), ("admin", "security")),
}
"""Who is asked by each kind of campaign, at its first and its second stage. The technical owner never certifies for
their own agent; as holder they are asked first about the credentials that they look after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class People(Standing[str]):
    """The people around one decision: how each stands to it, and who holds the offices that are asked.

    `manager` is that of the sponsor, or of the holder where there is no sponsor. `groups` are the members of the groups
    that are stages. `runs_it` owns the campaign, where the owner is asked last.
    """

    sponsor: str | None = None
    manager: str | None = None
    system_owner: str | None = None
    security: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()
    holder: str | None = None
    runs_it: str | None = None
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict, hash=False)

    def holders(self, office: str) -> tuple[str, ...]:
        """Name who holds an office, in the order in which they are asked, before anybody is passed over."""
        if office.startswith(GROUP):
            return tuple(sorted(self.groups.get(office, ())))
        several = {"admin": self.admins, "security": self.security}
        if office in several:
            return several[office]
        holder = {
            "sponsor": self.sponsor,
            "system_owner": self.system_owner,
            "manager": self.manager,
            "holder": self.holder,
            CAMPAIGN_OWNER: self.runs_it,
        }[office]
        return (holder,) if holder else ()

    def holds_office(self, login: str) -> bool:
        """Whether a person answers in the name of any stage of a request now."""
        return any(login in self.holders(stage) for stage in (*Stage, *self.groups))


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemPeople(People):
    """The people around a stage of a review item; `fallback` names the group that is asked after the chain."""

    kind: str = "agent_owner"
    stage: int = 1
    fallback: str = ""

    @property
    def chain(self) -> tuple[str, ...]:
        """The offices that this stage asks; a spot check asks those of both stages."""
        return (
            *(chain_of(self.kind) if self.stage == SPOT_CHECK else _REVIEWERS[self.kind][self.stage - 1]),
            *self._last,
        )

    @property
    def could_be_asked(self) -> frozenset[str]:
        """Everybody in the chain of either stage."""
        return frozenset(login for office in (*chain_of(self.kind), *self._last) for login in self.holders(office))

    @property
    def _last(self) -> tuple[str, ...]:
        group = (f"{GROUP}{self.fallback}",) if self.fallback else ()
        return (*group, CAMPAIGN_OWNER) if self.runs_it else group


@dataclass(frozen=True, slots=True)
class Skip:
    """A person who was passed over, and why."""

    who: str
    why: Reason


@dataclass(frozen=True, slots=True)
class Route:
    """Whom a stage asks, by which step of its chain, and who was passed over on the way.

    It asks no person where none is left. `widened` names the further step that was added when no answer came in time.
    """

    stage: str
    asked: frozenset[str]
    rule: str
    skipped: tuple[Skip, ...]
    widened: str | None = None

    def as_evidence(self, evaluated_at: datetime, *, chosen: Sequence[str] | str | None) -> dict[str, Any]:
        """Return what is stored with the decision: the evidence that conflicts were looked for."""
        return {
            "chosen": chosen,
            "rule": self.rule,
            "skipped": [{"who": skip.who, "why": skip.why.value} for skip in self.skipped],
            "evaluated_at": evaluated_at.isoformat(),
            **({} if self.widened is None else {"widened": self.widened}),
        }


def chain_of(kind: str) -> tuple[str, ...]:
    """Name every office of a kind of campaign, at either stage."""
    return tuple(dict.fromkeys(office for chain in _REVIEWERS[kind] for office in chain))


def reviewers(people: ItemPeople) -> Route:
    """Find whom an item asks: the first of the chain who may be asked, or the members of a group who may."""
    skipped: dict[str, Reason] = {}
    for office in people.chain:
        is_group, left = office.startswith(GROUP), list[str]()
        for login in people.holders(office):
            if login in skipped:
                continue
            if reason := skip_reason(login, people):
                skipped[login] = reason
            else:
                left.append(login)
            if left and not is_group:
                break
        if left:
            return Route("", frozenset(left), office, _skips(skipped))
        if is_group and not people.groups.get(office):
            skipped[office] = Reason.TOO_FEW
    return Route("", frozenset(), UNASSIGNED, _skips(skipped))


def least_busy(route: Route, load: Mapping[str, int]) -> str | None:
    """Return who of those asked has the fewest items, of several the first by login; None where no person is asked."""
    return min(route.asked, key=lambda login: (load.get(login, 0), login), default=None)


def approvers(stages: Sequence[str], people: People) -> tuple[Route, ...]:
    """Find the people of each stage so that distinct people can answer all of them, with as few stand-ins as possible.

    A person who is needed to complete another stage is left out, so that no order of answers ends in a dead end.
    Where that cannot be, one route that asks no person names the stage.
    """
    steps = [_steps(stage, people) for stage in stages]
    for stage, possible in zip(stages, steps, strict=True):
        if not any(free for _, free in possible):
            return (_unassigned(stage, people),)
    for choice in sorted(itertools.product(*(range(len(possible)) for possible in steps)), key=_stand_ins):
        taken = [possible[step] for possible, step in zip(steps, choice, strict=True)]
        if (distinct := completable({place: free for place, (_, free) in enumerate(taken)})) is not None:
            return tuple(
                Route(stage, distinct[place], rule, _passed_over(stage, step, people, distinct[place]))
                for place, (stage, step, (rule, _)) in enumerate(zip(stages, choice, taken, strict=True))
            )
    return (_unassigned(stages[-1], people),)


def unassigned(routes: Iterable[Route]) -> Route | None:
    """Return the route that asks no person, if there is one."""
    return next((route for route in routes if not route.asked), None)


def widen(routes: Sequence[Route], places: Collection[int], people: People) -> tuple[Route, ...]:
    """Add to these places the people of the next step of their chains that has any; who was asked before stays.

    A person who is needed to complete another stage is not added. A place whose chain is at its end stays as it is.
    """
    pools, added = {place: route.asked for place, route in enumerate(routes)}, {}
    for place in places:
        steps = _steps(routes[place].stage, people)
        after = [rule for rule, _ in steps].index(routes[place].rule) + 1
        further = ((rule, free) for rule, free in steps[after:] if free - pools[place])
        added[place] = next(further, ("", frozenset()))
    wider = {place: pool | added[place][1] if place in added else pool for place, pool in pools.items()}
    spared = completable(wider) or pools
    return tuple(
        replace(route, asked=route.asked | spared[place], widened=added[place][0]) if place in added else route
        for place, route in enumerate(routes)
    )


def in_line(stage: str, people: People) -> frozenset[str]:
    """Name everybody who could answer in the name of a stage, at any step of its chain."""
    return frozenset(login for offices in _chain(stage) for login in _holders(offices, people))


def passed_on(before: Iterable[str], route: Route, people: People) -> frozenset[str]:
    """Name whom a stage asks that was passed on: those it was passed to while they may answer, else the route's."""
    stay = frozenset(
        login for login in in_line(route.stage, people).intersection(before) if skip_reason(login, people) is None
    )
    return stay | (route.asked if route.widened or not stay else frozenset())


def completable[Name](pools: Mapping[Name, AbstractSet[str]]) -> dict[Name, frozenset[str]] | None:
    """Keep in each pool whom the others can spare; None when distinct people cannot answer all of them."""
    if not _enough(list(pools.values())):
        return None
    return {
        name: frozenset(
            who for who in pool if _enough([other - {who} for another, other in pools.items() if another != name])
        )
        for name, pool in pools.items()
    }


def _enough(pools: Sequence[AbstractSet[str]]) -> bool:
    """Whether distinct people can be picked, one from each pool: a matching is grown pool by pool."""
    taken: dict[str, int] = {}

    def place(pool: int, tried: set[str]) -> bool:
        for who in pools[pool] - tried:
            tried.add(who)
            if who not in taken or place(taken[who], tried):
                taken[who] = pool
                return True
        return False

    return all(place(pool, set()) for pool in range(len(pools)))


def _chain(stage: str) -> Chain:
    """Return the steps of a stage; a named group falls back to security."""
    return ((stage,), (Stage.SECURITY,)) if stage.startswith(GROUP) else _APPROVERS[stage]


def _holders(offices: Iterable[str], people: People) -> frozenset[str]:
    return frozenset(login for office in offices for login in people.holders(office))


def _steps(stage: str, people: People) -> list[tuple[str, frozenset[str]]]:
    """Name the steps of a stage's chain, each with the people who may be asked."""
    return [
        ("_or_".join(offices), frozenset(who for who in _holders(offices, people) if skip_reason(who, people) is None))
        for offices in _chain(stage)
    ]


def _stand_ins(choice: Sequence[int]) -> tuple[int, int, tuple[int, ...]]:
    """Order choices: few stand-ins first, then the nearest ones."""
    return sum(step > 0 for step in choice), sum(choice), tuple(choice)


def _unassigned(stage: str, people: People) -> Route:
    return Route(stage, frozenset(), UNASSIGNED, _passed_over(stage, len(_chain(stage)) - 1, people, frozenset()))


def _passed_over(stage: str, step: int, people: People, asked: AbstractSet[str]) -> tuple[Skip, ...]:
    """Name who was passed over in the chain of a stage up to the step that was taken."""
    seen: dict[str, Reason] = {}
    for offices in _chain(stage)[: step + 1]:
        for who in sorted(_holders(offices, people) - asked):
            seen.setdefault(who, skip_reason(who, people) or Reason.NEEDED_ELSEWHERE)
    return _skips(seen)


def _skips(skipped: Mapping[str, Reason]) -> tuple[Skip, ...]:
    return tuple(Skip(who, why) for who, why in skipped.items())
