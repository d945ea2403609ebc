"""Which rows of a list a person may suspend or revoke together, and by which actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext_lazy

from entitlements.access.caller import Caller
from entitlements.agents import actions as agents
from entitlements.agents.models import Agent
from entitlements.api.actions import Action, Subject
from entitlements.grants import actions as grants
from entitlements.grants.models import Grant
from governance.console import doors


@dataclass(frozen=True, slots=True)
class StopAction:
    """One action on a row, and the label of its button."""

    action: Action
    label: Any
    is_last: bool = False
    """Whether it cannot be undone."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of rows in a list: how they are read, and the actions on them."""

    subject: Subject
    key: str
    acts: dict[str, StopAction]
    page: str
    title: Any


KINDS: Final = {
    "grant": Kind(
        grants.GRANT,
        "pk",
        {
            "pause": StopAction(grants.SUSPEND, gettext_lazy("Pause them")),
            "remove": StopAction(grants.REVOKE, gettext_lazy("Remove them for good"), is_last=True),
        },
        "/grants/",
        gettext_lazy("Stop this access?"),
    ),
    "agent": Kind(
        agents.AGENT,
        "slug",
        {"stop": StopAction(agents.SUSPEND, gettext_lazy("Stop these agents"))},
        "/agents/",
        gettext_lazy("Stop these agents?"),
    ),
}


def stoppable(caller: Caller, kind: str, rows: Sequence[Any]) -> set[Any]:
    """Return the keys of the rows of a list that the caller may suspend or revoke, and that are active."""
    listed = KINDS[kind]
    first = next(iter(listed.acts.values())).action.address
    return {getattr(thing, listed.key) for thing in rows if _is_live(thing) and doors.may(caller, first, thing)}


def _is_live(thing: Grant | Agent) -> bool:
    return thing.ended_at is None if isinstance(thing, Grant) else thing.status == Agent.Status.ACTIVE
