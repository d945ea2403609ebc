"""A part of a pack held against this installation: what proposing it would do, and what is there already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .packs import Part


class Standing(StrEnum):
    """How a part stands to what this installation has under the same name.

    `blocked` parts can be proposed once a person has decided what is in the way.
    """

    NEW = "new"
    CHANGED = "changed"
    PROPOSED = "proposed"
    IN_PLACE = "in_place"
    BLOCKED = "blocked"


class Act(StrEnum):
    """What is done by hand for a part; `actions.py` names the declared action of each."""

    PROPOSE_SOD_POLICY = "propose_sod_policy"
    PROPOSE_APPROVAL_POLICY = "propose_approval_policy"
    PROPOSE_RULE = "propose_rule"
    SAVE_TEMPLATE = "save_template"
    EDIT_TEMPLATE = "edit_template"


DONE = frozenset({Standing.PROPOSED, Standing.IN_PLACE})
"""Parts of which proposing creates nothing."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that differs: its name, what is there, and what the pack has. Both are texts for people."""

    name: str
    now: str | None
    pack: str | None


@dataclass(frozen=True, slots=True)
class Planned:
    """What a part would do here: the act that a person does by hand, on which row, with which values.

    `existing` is the row under the same name; `missing` says in sentences what this installation lacks for the part.
    """

    key: str
    title: str
    part: Part
    standing: Standing
    act: Act
    values: Mapping[str, Any]
    row: Any = None
    existing: Any = None
    differences: tuple[Difference, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def may_propose(self) -> bool:
        """Whether proposing it now would create something."""
        return self.standing in (Standing.NEW, Standing.CHANGED)


def differences(now: Mapping[str, str], pack: Mapping[str, str]) -> tuple[Difference, ...]:
    """Return the settings that differ, in the order of the pack."""
    return tuple(Difference(name, now.get(name), text) for name, text in pack.items() if now.get(name) != text)
