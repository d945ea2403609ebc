"""Pure: who must approve a request, who never may, and how each stage comes to people.

Nothing here reads a row or a clock. People are logins. An empty answer is a refusal with its reasons, never a stage
that is left out.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from entitlements.errors import DomainError
from entitlements.words import Risk


class Stage(StrEnum):
    """In whose name somebody answers. `manager` stands for the sponsor where the sponsor is the agent's user.

    A stage may also be a named group, `group:<slug>`. There is none for the technical owner, who never answers.
    """

    SPONSOR = "sponsor"
    MANAGER = "manager"
    SYSTEM_OWNER = "system_owner"
    SECURITY = "security"


class Why(StrEnum):
    """Why a candidate was passed over."""

    INACTIVE = "inactive"
    REQUESTED_IT = "requested_it"
    BENEFITS = "benefits"
    OWNS_THE_AGENT = "owns_the_agent"
    CAME_LATER = "came_later"
    ANSWERED_ALREADY = "answered_another_stage"
    ANSWERED_APPEALED = "answered_what_is_appealed"
    NEEDED_ELSEWHERE = "needed_in_another_stage"


type Policy = Mapping[Risk, Sequence[str]]
"""The stages by risk. A stage that needs n distinct people is named n times."""

GROUP: Final = "group:"
_MOST_OF_ONE: Final = 5
_MOST: Final = 8
_SEVERAL: Final = (Stage.SECURITY, GROUP)
"""Stages that can have more than one person, by how they begin."""

DEFAULT_POLICY: Final[Policy] = {
    Risk.LOW: (Stage.SPONSOR,),
    Risk.MEDIUM: (Stage.SPONSOR,),
    Risk.HIGH: (Stage.SPONSOR, Stage.SYSTEM_OWNER),
    Risk.CRITICAL: (Stage.SPONSOR, Stage.SYSTEM_OWNER, Stage.SECURITY),
}

# Each step is tried when the one before it has nobody left. A step of two names waits for either of them.
_CHAINS: Final[Mapping[Stage, tuple[tuple[Stage, ...], ...]]] = {
    Stage.SPONSOR: ((Stage.SPONSOR,), (Stage.SYSTEM_OWNER,), (Stage.SECURITY,)),
    Stage.MANAGER: ((Stage.MANAGER, Stage.SYSTEM_OWNER), (Stage.SECURITY,)),
    Stage.SYSTEM_OWNER: ((Stage.SYSTEM_OWNER,), (Stage.SECURITY,)),
    Stage.SECURITY: ((Stage.SECURITY,),),
}


def _chain(stage: str) -> tuple[tuple[str, ...], ...]:
    """Return the steps of a stage; a named group falls back to security."""
    return ((stage,), (Stage.SECURITY,)) if stage.startswith(GROUP) else _CHAINS[Stage(stage)]


class PolicyTooWeak(DomainError):
    """An approval policy asks for fewer answers than the product's own rule."""

    code, status = "approval_policy_too_weak", HTTPStatus.UNPROCESSABLE_ENTITY


class PolicyMalformed(DomainError):
    """A stage is unknown, asks for more people than it can have, or there are more than eight answers in all."""

    code, status = "approval_policy_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The people around one request.

    `requesters` are all who stand behind the ask: the person, the user that an asking agent acted for, and the owner of
    an asking agent. `beneficiaries` are the people acted for, groups expanded. `personal`: the agent is its sponsor's.
    `owner_then` owned the agent when it was asked. `newcomers` came to an office of this request since. `answered` have
    answered another stage. `groups` are the members of the groups that are stages, by stage. `appealed` have
    answered the request that this one appeals.
    """

    personal: bool
    sponsor: str
    owner: str | None
    manager: str | None
    system_owner: str | None
    security: frozenset[str]
    requesters: frozenset[str]
    beneficiaries: frozenset[str]
    active: frozenset[str]
    answered: frozenset[str] = frozenset()
    owner_then: str | None = None
    newcomers: frozenset[str] = frozenset()
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    appealed: frozenset[str] = frozenset()

    def holders(self, stage: str) -> frozenset[str]:
        """Say who answers in the name of a stage, before anybody is passed over."""
        if stage.startswith(GROUP):
            return self.groups.get(stage, frozenset())
        match Stage(stage):
            case Stage.SECURITY:
                return self.security
            case Stage.SPONSOR:
                return frozenset({self.sponsor})
            case Stage.MANAGER:
                return frozenset({self.manager} if self.manager else ())
            case Stage.SYSTEM_OWNER:
                return frozenset({self.system_owner} if self.system_owner else ())

    def is_in_office(self, login: str) -> bool:
        """Whether somebody answers in the name of any stage now, before anybody is passed over."""
        return any(login in self.holders(stage) for stage in (*Stage, *self.groups))


@dataclass(frozen=True, slots=True)
class Skip:
    """Somebody who was passed over, and why."""

    who: str
    why: Why


@dataclass(frozen=True, slots=True)
class Resolution:
    """Whom a stage waits for, by which step of its chain, and who was passed over on the way.

    `widened` says by which further step others were added, where nobody had answered in time.
    """

    stage: str
    chosen: frozenset[str]
    rule: str
    skipped: tuple[Skip, ...]
    widened: str | None = None

    def as_evidence(self, evaluated_at: datetime) -> dict[str, Any]:
        """Return what is stored beside the stage: the evidence that conflicts were looked for."""
        return {
            "chosen": sorted(self.chosen),
            "rule": self.rule,
            "skipped": [{"who": skip.who, "why": skip.why.value} for skip in self.skipped],
            "evaluated_at": evaluated_at.isoformat(),
            **({} if self.widened is None else {"widened": self.widened}),
        }


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A stage for which nobody is left. The request cannot be made."""

    stage: str
    skipped: tuple[Skip, ...]


def highest(risks: Iterable[Risk]) -> Risk:
    """Return the highest of some risks; of none at all the highest there is, since nothing is known."""
    return max(risks, key=lambda risk: risk.rank, default=Risk.CRITICAL)


def check_policy(policy: Policy) -> None:
    """Raise PolicyTooWeak unless every risk asks for at least what the default asks for, and PolicyMalformed.

    Only security and a named group can be asked for several answers: the other stages are one person each.
    """
    for risk, least in DEFAULT_POLICY.items():
        asked = Counter(map(str, policy.get(risk, ())))
        if not Counter(map(str, least)) <= asked:
            raise PolicyTooWeak(f"{risk} risk needs at least: {', '.join(least)}")
        if asked.total() > _MOST or any(not _may_ask(stage, count) for stage, count in asked.items()):
            raise PolicyMalformed(risk=risk.value)


def _may_ask(stage: str, count: int) -> bool:
    known = stage in set(Stage) - {Stage.MANAGER} or (stage.startswith(GROUP) and stage != GROUP)
    return known and count <= (_MOST_OF_ONE if stage.startswith(_SEVERAL) else 1)


def check_grows(policy: Policy) -> None:
    """Raise PolicyTooWeak where a higher risk does without a stage of a lower one: narrowing only takes away."""
    for lower, higher in itertools.pairwise(Risk):
        if missing := sorted((Counter(policy[lower]) - Counter(policy[higher])).keys()):
            raise PolicyTooWeak(f"{higher} risk needs at least what {lower} risk needs: {', '.join(missing)}")


def stages_for(policy: Policy, risk: Risk, *, personal: bool, appeal: bool = False) -> tuple[str, ...]:
    """Say which stages a request needs, of which an appeal always has security.

    A personal agent's sponsor is its user: the user's manager takes the place.
    """
    stand_in = {str(Stage.SPONSOR): str(Stage.MANAGER)} if personal else {}
    stages = tuple(stand_in.get(stage, str(stage)) for stage in policy[risk])
    return (*stages, str(Stage.SECURITY)) if appeal and Stage.SECURITY not in stages else stages


def no_longer_needed(needed: Iterable[str], present: Iterable[str]) -> Counter[str]:
    """Count which present stages a narrowed request can do without; none when it would need one that is not there."""
    needed, present = Counter(needed), Counter(present)
    return present - needed if needed <= present else Counter()


def conflict(login: str, around: Surroundings) -> Why | None:
    """Say why a person may not answer this request, whatever their role; None when nothing stands against it.

    They requested it, benefit from it, own the agent technically or did when it was asked, came to their office after
    the ask, answered what it appeals, or have left (promise 6, invariant 8). The sponsor as such is no conflict.
    """
    against = (
        (login not in around.active, Why.INACTIVE),
        (login in around.requesters, Why.REQUESTED_IT),
        (login in (around.owner, around.owner_then), Why.OWNS_THE_AGENT),
        (login in around.beneficiaries, Why.BENEFITS),
        (login in around.newcomers, Why.CAME_LATER),
        (login in around.appealed, Why.ANSWERED_APPEALED),
        (login in around.answered, Why.ANSWERED_ALREADY),
    )
    return next((why for stands, why in against if stands), None)


def in_line(stage: str, around: Surroundings) -> frozenset[str]:
    """Name everybody who could answer in the name of a stage, at any step of its chain."""
    return frozenset[str]().union(*(_people(names, around) for names in _chain(stage)))


def passed_on(before: Iterable[str], found: Resolution, around: Surroundings) -> frozenset[str]:
    """Say whom a stage waits for that was passed on: those it was passed to while they may, else who was found."""
    stay = frozenset(before) & in_line(found.stage, around)
    stay = frozenset(who for who in stay if conflict(who, around) is None)
    return stay | (found.chosen if found.widened or not stay else frozenset())


def resolve(stages: Sequence[str], around: Surroundings) -> tuple[Resolution, ...] | Unresolved:
    """Find the people of each stage so that distinct people can answer all of them, with as few stand-ins as possible.

    Whoever is needed to complete another stage is left out of this one, so that no order of answers ends in a dead end.
    """
    steps = [_steps(stage, around) for stage in stages]
    for stage, possible in zip(stages, steps, strict=True):
        if not any(people for _, people in possible):
            return Unresolved(stage, _skipped(stage, len(possible) - 1, around, frozenset()))
    for choice in sorted(itertools.product(*(range(len(possible)) for possible in steps)), key=_stand_ins):
        taken = [(stage, step, possible[step]) for stage, step, possible in zip(stages, choice, steps, strict=True)]
        if (distinct := completable({place: people for place, (*_, (_, people)) in enumerate(taken)})) is not None:
            return tuple(
                Resolution(stage, distinct[place], rule, _skipped(stage, step, around, distinct[place]))
                for place, (stage, step, (rule, _)) in enumerate(taken)
            )
    last = stages[-1]
    return Unresolved(last, _skipped(last, len(steps[-1]) - 1, around, frozenset()))


def widen(found: Sequence[Resolution], places: Collection[int], around: Surroundings) -> tuple[Resolution, ...]:
    """Add to these places the people of the next step of their chains that has any; whoever waited already stays.

    Whoever is needed to complete another stage is not added. A place whose chain has nobody more stays as it is.
    """
    pools, said = {place: each.chosen for place, each in enumerate(found)}, {}
    for place in places:
        steps = _steps(found[place].stage, around)
        after = [rule for rule, _ in steps].index(found[place].rule) + 1
        said[place] = next(
            ((rule, people) for rule, people in steps[after:] if people - pools[place]), ("", frozenset())
        )
    wider = {place: pool | said[place][1] if place in said else pool for place, pool in pools.items()}
    spared = completable(wider) or pools
    return tuple(
        replace(each, chosen=each.chosen | spared[place], widened=said[place][0]) if place in said else each
        for place, each in enumerate(found)
    )


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


def _steps(stage: str, around: Surroundings) -> list[tuple[str, frozenset[str]]]:
    """Name the steps of a stage's chain, each with the people that nothing stands against."""
    return [
        ("_or_".join(names), frozenset(who for who in _people(names, around) if conflict(who, around) is None))
        for names in _chain(stage)
    ]


def _people(names: Iterable[str], around: Surroundings) -> frozenset[str]:
    return frozenset[str]().union(*(around.holders(name) for name in names))


def _stand_ins(choice: Sequence[int]) -> tuple[int, int, tuple[int, ...]]:
    """Order choices: few stand-ins first, then the nearest ones."""
    return sum(step > 0 for step in choice), sum(choice), tuple(choice)


def _skipped(stage: str, step: int, around: Surroundings, chosen: AbstractSet[str]) -> tuple[Skip, ...]:
    """Say who was passed over in the chain of a stage up to the step that was taken."""
    seen: dict[str, Why] = {}
    for names in _chain(stage)[: step + 1]:
        for who in sorted(_people(names, around) - chosen):
            seen.setdefault(who, conflict(who, around) or Why.NEEDED_ELSEWHERE)
    return tuple(Skip(who, why) for who, why in seen.items())
