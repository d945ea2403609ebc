"""A small fleet that is moved about by the product's own actions, and what brute force says of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from audit import clock
from audit.context import Principal
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.catalog import entitlements, systems, tools
from entitlements.catalog.models import Entitlement, System, Tool
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.decisions import facts, guardrails, policy
from entitlements.decisions.snapshot import Call
from entitlements.decisions.verdicts import Effect
from entitlements.errors import DomainError, NotFound
from entitlements.grants import grants, subjects
from entitlements.grants.models import Grant
from entitlements.people import people
from entitlements.people.models import Group, Person
from entitlements.words import Risk
from tests import make

type Reached = set[tuple[str, str | None]]

ONE, OTHER = Principal("person", "ana"), Principal("person", "ben")
WHY = "a step of a test"
LIMITS = {"amount": {"max": 100}}
SCHEMA = {"type": "object", "properties": {"amount": {"type": "number"}}}


@dataclass
class Fleet:
    """Agents at one system, their grants and people, and the dice by which they are moved."""

    dice: random.Random
    system: System
    tools: list[Tool]
    entitlements: list[Entitlement]
    people: list[Person]
    groups: list[Group]
    agents: list[Agent]
    grants: list[Grant] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    def step(self) -> None:
        """Do something that changes who can call what, or that is refused."""
        ((name, act),) = self.dice.choices(STEPS, [_weight(name) for name, _ in STEPS])
        with suppress(DomainError):
            act(self, self.dice.choice([ONE, OTHER]))
            self.done.append(name)

    def a(self, kind: type[Any], **where: object) -> Any:  # noqa: ANN401 - a row
        """Choose a row of a kind, as it is now."""
        rows = list(kind.objects.filter(**where).order_by("pk"))
        if not rows:
            raise NotFound
        return self.dice.choice(rows)

    def one(self, named: list[Any]) -> Any:  # noqa: ANN401 - a row
        """Choose one of these, as it is now."""
        row = self.dice.choice(named)
        return type(row).objects.get(pk=row.pk)


def found(dice: random.Random, *, agents_: int = 6, people_: int = 7, grants_: int = 14) -> Fleet:
    """Make a fleet."""
    system = make.system("ledger")
    made = [make.tool(system, name, definition=_definition(name)) for name in ("book", "look", "pay", "void")]
    for tool in made:
        approve(tool, Risk.LOW, ONE)
    wide = make.entitlement(system, *made, scope="ledger:all", limits={"pay": LIMITS})
    few = make.entitlement(system, made[0], made[2], scope="ledger:some")
    persons = [make.person(f"user-{number}") for number in range(people_)]
    groups = [make.group(*dice.sample(persons, 3), slug=f"team-{number}") for number in range(3)]
    bots = [make.agent(f"bot-{number}") for number in range(agents_)]
    for bot in bots[1:]:  # the first has no client
        public = dice.random() < 0.3
        make.client(bot, f"{bot.slug}-client", auth=Client.Auth.NONE if public else Client.Auth.PRIVATE_KEY_JWT)
    fleet = Fleet(dice, system, made, [wide, few], persons, groups, bots)
    while len(fleet.grants) < grants_:
        with suppress(DomainError):
            _issue(fleet, ONE)
    return fleet


def _definition(name: str) -> dict[str, Any]:
    return {"name": name, "description": f"Does {name}.", "inputSchema": SCHEMA}


def _issue(fleet: Fleet, _by: Principal) -> None:
    dice = fleet.dice
    named, teams = dice.sample(fleet.people, dice.choice([0, 1, 2])), dice.sample(fleet.groups, dice.choice([0, 0, 1]))
    starts = clock.now() + timedelta(hours=dice.choice([-1, -1, -1, 1]))
    entitlement = Entitlement.objects.get(pk=dice.choice(fleet.entitlements).pk)
    fleet.grants.append(make.grant(fleet.one(fleet.agents), entitlement, people=named, groups=teams, starts_at=starts))


def _reduce(fleet: Fleet, by: Principal) -> None:
    grant = fleet.one(fleet.grants)
    lines = {line.tool.name: line.limits for line in grant.lines.select_related("tool")}
    keep = dict(fleet.dice.sample(sorted(lines.items()), max(1, len(lines) - 1)))
    ends = fleet.dice.choice([None, clock.now() + timedelta(hours=2)])
    before = grants.reduce(grant.pk, keep, expires_at=ends, by=by, reason=WHY)
    if fleet.dice.random() < 0.4:
        fleet.step()
        grants.undo_reduction(grant.pk, before, by=by, reason=WHY)


def _leave_grant(fleet: Fleet, by: Principal) -> None:
    subjects.remove_person(fleet.one(fleet.grants).pk, fleet.one(fleet.people), by=by, reason=WHY)


def _edit(fleet: Fleet, by: Principal) -> None:
    entitlement = fleet.one(fleet.entitlements)
    entitlements.edit_entitlement(entitlement, by=by, enabled=not entitlement.enabled)


def _approve(fleet: Fleet, by: Principal) -> None:
    approve(fleet.one(fleet.tools), fleet.dice.choice([Risk.LOW, Risk.HIGH]), by)


def approve(tool: Tool, risk: Risk, by: Principal) -> None:
    """Approve a tool as it is, at a risk level."""
    assert tool.seen is not None
    tools.approve_tool(tools.Approval(tool, tool.seen.sha256, "Does it.", "read", risk), by=by)


STEPS: list[tuple[str, Callable[[Fleet, Principal], object]]] = [
    ("issue", _issue),
    ("revoke", lambda f, by: grants.revoke(f.one(f.grants).pk, by=by, reason=WHY)),
    ("suspend grant", lambda f, by: grants.suspend(f.one(f.grants).pk, by=by, reason=WHY)),
    ("restore grant", lambda f, by: grants.restore(f.one(f.grants).pk, by=by, reason=WHY)),
    ("reduce", _reduce),
    ("leave grant", _leave_grant),
    ("suspend agent", lambda f, by: agents.suspend(f.one(f.agents), by=by, reason=WHY)),
    ("restore agent", lambda f, by: agents.restore(f.a(Agent, status="suspended"), by=by, reason=WHY)),
    ("disable person", lambda f, by: people.disable(f.one(f.people), by=by, reason=WHY)),
    ("disable an office", lambda f, by: people.disable(f.one(f.agents).sponsor, by=by, reason=WHY)),
    ("enable person", lambda f, by: people.enable(f.a(Person, is_active=False), by=by, reason=WHY)),
    ("join", lambda f, by: people.join_group(f.one(f.groups), f.one(f.people), by=by, reason=WHY)),
    ("leave", lambda f, by: people.leave_group(f.one(f.groups), f.one(f.people), by=by, reason=WHY)),
    ("disable client", lambda f, by: clients.disable(f.a(Client, agent__in=f.agents), by=by, reason=WHY)),
    ("enable client", lambda f, by: clients.enable(f.a(Client, status="disabled"), by=by, reason=WHY)),
    ("quarantine", lambda f, by: tools.quarantine(f.one(f.tools), by=by, reason=WHY)),
    ("disable tool", lambda f, by: tools.disable_tool(f.one(f.tools), by=by, reason=WHY)),
    ("enable tool", lambda f, by: tools.enable_tool(f.a(Tool, state="disabled"), by=by, reason=WHY)),
    ("approve", _approve),
    ("edit entitlement", _edit),
    ("disable system", lambda f, by: systems.disable_system(f.system, by=by, reason=WHY)),
    ("enable system", lambda f, by: systems.enable_system(f.system, by=by, reason=WHY)),
    ("stop", lambda _f, by: guardrails.stop_everything(by=by, reason=WHY)),
    ("start", lambda _f, by: guardrails.restart_everything(by=by, reason=WHY)),
    ("new owner", lambda f, by: make.hand_over(f.one(f.agents), "owner", f.one(f.people), by=by, reason=WHY)),
]


_RARE = ("stop", "disable system", "edit entitlement", "disable an office")


def _weight(step: str) -> int:
    """Let what stops everything be rare, and be lifted soon."""
    if step in _RARE:
        return 1
    return 8 if step in ("start", "enable system", "approve") or step.startswith(("enable", "restore")) else 4


def reached(fleet: Fleet) -> dict[str, Reached]:
    """Ask the decision function about each agent, client, person and tool, one after another."""
    everyone = [(each.login, each.is_active) for each in Person.objects.filter(login__startswith="user-")]
    now, found = clock.now().timestamp(), {tool.name: set[tuple[str, str | None]]() for tool in fleet.tools}
    for agent in fleet.agents:
        known = facts.load(agent.slug, fleet.system.slug, everyone)
        assert known is not None
        for person in [*(login for login, _ in everyone), None]:
            for client in known.clients:
                for tool, names in found.items():
                    call = Call(agent.slug, client, person, fleet.system.slug, tool, {})
                    if policy.reachable(call, known, now).effect is not Effect.DENY:
                        names.add((agent.slug, person))
    return found
