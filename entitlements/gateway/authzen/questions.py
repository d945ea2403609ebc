"""Reading what an enforcement point asks (AuthZEN 1.0, sections 5 to 8). What is well formed is read; nothing else.

A question about a tool names it with the action `tools/call`; `context.agent` (a slug or one of its clients) and
`resource.properties.server` say by whom it is called and where. Arguments in `context.arguments` are held against the
limits and the approved schema. A question without them is about a call without arguments where limits stand, and
otherwise about the tool as such. Where the agent acts for others, `context.act` names them as the claim of a token does
(RFC 8693), and each is decided about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from entitlements import strict
from entitlements.decisions.snapshot import Call, Chain
from entitlements.keys import act_claim, jws

ENTITIES: Final = ("subject", "action", "resource", "context")
TOOLS_CALL: Final = "tools/call"
TOOL: Final = "tool"
PEOPLE: Final = frozenset({"user", "identity", "person"})
AGENTS: Final = frozenset({"agent", "client"})


class Malformed(Exception):
    """The question lacks an attribute or has one of the wrong form; the message says which."""


class Target(StrEnum):
    """What a search looks for."""

    SUBJECT = "subject"
    RESOURCE = "resource"
    ACTION = "action"


@dataclass(frozen=True, slots=True)
class Asked:
    """A well-formed question. In a search, what it looks for is empty: an id, or the name of the action."""

    subject: tuple[str, str]
    action: str
    resource: tuple[str, str]
    subject_properties: Mapping[str, Any]
    action_properties: Mapping[str, Any]
    resource_properties: Mapping[str, Any]
    context: Mapping[str, Any]

    @property
    def server(self) -> str:
        """The system that the question names; empty where it names none."""
        named = self.resource_properties.get("server", self.resource_properties.get("system", ""))
        return named if isinstance(named, str) else ""


def read(body: Mapping[str, Any], search: Target | None = None) -> Asked:
    """Read one question, or a search: what that looks for needs no id, and one that is there is ignored.

    Raises Malformed.
    """
    subject, resource = _entity(body, "subject"), _entity(body, "resource")
    action = {} if search is Target.ACTION else _entity(body, "action")
    context = body.get("context", {})
    if not isinstance(context, dict):
        raise Malformed("context must be an object.")
    asked = Asked(
        (_word(subject, "subject", "type"), "" if search is Target.SUBJECT else _word(subject, "subject", "id")),
        "" if search is Target.ACTION else _word(action, "action", "name"),
        (_word(resource, "resource", "type"), "" if search is Target.RESOURCE else _word(resource, "resource", "id")),
        _properties(subject, "subject"),
        _properties(action, "action"),
        _properties(resource, "resource"),
        context,
    )
    if not strict.is_storable([*asked.subject, *asked.resource, asked.action, asked.server]):
        raise Malformed("A name holds the character NUL.")
    return asked


def call_of(asked: Asked, system: str, own_agent: str) -> Call:
    """Return the call of a tool that a question is about; `own_agent` acts where none is named. Raises Malformed."""
    context, is_person = asked.context, asked.subject[0] in PEOPLE
    agent = context.get("agent", own_agent) if is_person else asked.subject[1]
    arguments, client = context.get("arguments", {}), context.get("client", "")
    if not isinstance(agent, str) or not isinstance(arguments, dict) or not isinstance(client, str):
        raise Malformed("context.agent and context.client must be texts, context.arguments an object.")
    chain = _chain(context, agent)
    if not strict.is_storable([agent, client, *(name for link in chain for name in link)]):
        raise Malformed("A name holds the character NUL.")
    person, states = asked.subject[1] if is_person else None, "arguments" in context
    return Call(agent, client, person, system, asked.resource[1], arguments, states_arguments=states, chain=chain)


def as_object(value: object) -> dict[str, Any]:
    """Return the body of a request. Raises Malformed where it is no object."""
    if not isinstance(value, dict):
        raise Malformed("The body must be an object.")
    return value


def _chain(context: Mapping[str, Any], agent: str) -> Chain:
    """Read the agents behind the one that is asked about. Raises Malformed."""
    try:
        act = act_claim.read(context)
    except jws.BadToken as why:
        raise Malformed("context.act must be the claim act of a token.") from why
    if act is not None and act.agent != agent:
        raise Malformed("context.act must name context.agent, or the subject, as the agent that acts.")
    return () if act is None else act.behind


def _entity(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if not isinstance(value, dict):
        raise Malformed(f"{name} is required.")
    return value


def _word(entity: Mapping[str, Any], name: str, attribute: str) -> str:
    value = entity.get(attribute)
    if not isinstance(value, str) or not value:
        raise Malformed(f"{name}.{attribute} is required.")
    return value


def _properties(entity: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = entity.get("properties", {})
    if not isinstance(value, dict):
        raise Malformed(f"{name}.properties must be an object.")
    return value
