"""Pure: which approvals a request needs, by its risk and its policy."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Final

from entitlements.errors import DomainError
from entitlements.words import Risk
from governance.conflicts_of_interest.routing import GROUP, Stage

type Policy = Mapping[Risk, Sequence[str]]
"""The stages by risk. A stage that needs n distinct people is named n times."""

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


class PolicyTooWeak(DomainError):
    """An approval policy asks for fewer answers than the product's own rule."""

    code, status = "approval_policy_too_weak", HTTPStatus.UNPROCESSABLE_ENTITY


class PolicyMalformed(DomainError):
    """A stage is unknown, asks for more people than it can have, or there are more than eight answers in all."""

    code, status = "approval_policy_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


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
