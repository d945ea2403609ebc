"""What a decision looks at: the call, the issuance, and the facts about one agent.

All times are epoch seconds. The loader (facts.py) builds these from rows and expands
groups to people; the policy only reads them. Enumerated values must be members of
their StrEnum, not bare text: anything else is refused, which is safe but puzzling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from entitlements.arguments import UNREAD, Schema
from entitlements.codes import Code
from entitlements.decisions.limits import Compiled
from entitlements.decisions.verdicts import Reason
from entitlements.session_policies.rules import UNKNOWN, EarlierSession, Levels, SignedIn
from entitlements.words import Action, Flow, Risk, Status, ToolState

if TYPE_CHECKING:
    from entitlements.guardrails.rules import Guardrail

UNLIMITED: Final = Compiled.unlimited()

type Chain = tuple[tuple[str, str], ...]
"""The agents behind the one that acts, nearest first, by slug; each with the client through which it acted."""


def chain_key(agent: str, chain: Chain) -> str:
    """Name an agent with those behind it, as facts are asked for: slugs, separated by spaces."""
    return " ".join((agent, *(name for name, _ in chain))) if chain else agent


class CoveredCalls(Protocol):
    """What the authorization details of a token cover."""

    def outside(self, tool: str, arguments: Mapping[str, object] | None, now: float) -> str:
        """Say why a call is not covered; empty where it is. Without arguments, whether the tool is named at all."""
        ...


@dataclass(frozen=True, slots=True)
class Token:
    """A verified token of ours, as far as policy cares; signature, audience and type were checked by the door.

    `scopes` are the ceiling of what it opens; with `covers_all` it opens whatever is granted, now or later. With
    `details` it opens the calls that they cover, and no others.
    """

    jti: str
    issued: float
    expires: float
    scopes: frozenset[str]
    covers_all: bool = False
    details: CoveredCalls | None = None


@dataclass(slots=True)
class Call:
    """One tool call to decide. `person` is the user acted for, None for an agent on its own.

    `token` is None only where the question does not come with one (an AuthZEN evaluation);
    `definition` is the hash of the tool as it was shown to the caller, where the door knows it;
    `approval` names a person's approval of exactly this call, claimed by the door beforehand. `states_arguments` is
    False only where an AuthZEN question leaves its arguments out: they are then none for limits, and not held against
    the schema. `chain` holds the agents that delegated: the call is decided for each of them too, and `depth` then says
    how many agents stand behind the one that acts. With `whole_token` the question is about all that the token opens,
    so session policies of its most risky tool apply.
    """

    agent: str
    client: str
    person: str | None
    system: str
    tool: str
    arguments: Mapping[str, object]
    token: Token | None = None
    session: str | None = None
    definition: str | None = None
    approval: str | None = None
    states_arguments: bool = True
    chain: Chain = ()
    whole_token: bool = False
    depth: int = 0

    @property
    def key(self) -> str:
        """The agent with those behind it (`chain_key`)."""
        return chain_key(self.agent, self.chain)


@dataclass(slots=True)
class Issuance:
    """One token to issue. `system` None is a sign-in at the identity side, which carries no rights.

    `token` is what is redeemed (code, refresh token, ID-JAG) and is the ceiling of the
    scopes; in a token exchange it may be absent or a subject token of ours, and is no ceiling.
    `requested` None asks for all. `lifetime` is in seconds, already jittered by the door.
    In a chain `delegated` is what the agents behind present instead, of which the acting one has nothing yet.
    `begins_session` says that the door opens a new session in this very transaction. `for_all_systems` says that the
    facts are those of all systems together: the gateway decides each call of such a token by the grant that covers it,
    so the token itself stands on none and ends with none. With `may_be_empty` a missing grant is no hindrance: the
    token then carries no scope, and its holder can request access. Where a session begins, `signed_in` is what is known
    of the sign-in, and `earlier` are the sessions before it.
    """

    flow: Flow
    agent: str
    client: str
    person: str | None
    system: str | None
    requested: frozenset[str] | None
    lifetime: float
    token: Token | None = None
    session: str | None = None
    begins_session: bool = False
    for_all_systems: bool = False
    may_be_empty: bool = False
    chain: Chain = ()
    delegated: Token | None = None
    signed_in: SignedIn = UNKNOWN
    earlier: tuple[EarlierSession, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One tool line of one grant, for one person. `ask` wants a person's approval of every call."""

    grant: str
    scope: str
    starts: float
    expires: float
    limits: Compiled = UNLIMITED
    suspended: bool = False
    ask: bool = False
    because: tuple[Reason, ...] = ()

    def __post_init__(self) -> None:
        """Prepare the reason of an allow once, since it is given on every call."""
        if not self.because:
            reason = Reason(Code.ALLOWED, f"Grant {self.grant} ({self.scope}) covers this call.", self.grant)
            object.__setattr__(self, "because", (reason,))


@dataclass(frozen=True, slots=True)
class ToolFacts:
    """One tool as it is pinned: `version` is the approved ToolVersion, `definition` its hash.

    `schema` is what it approves of arguments. Where it was not read, no call is allowed. `data_class` is empty where it
    is not known.
    """

    system: str
    name: str
    state: ToolState
    version: str
    definition: str
    action: Action
    risk: Risk
    schema: Schema = UNREAD
    data_class: str = ""


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """One run of the agent for one person. From `reauthenticate_at` on, the person must sign in again first.

    `began`, `last_used` and `signed_in` are what session policies look at. `is_held`: a risk signal holds its calls.
    """

    person: str | None
    idle_until: float
    absolute_until: float
    authenticated_at: float
    ended: bool = False
    reauthenticate_at: float = math.inf
    risk: Risk = Risk.LOW
    labels: frozenset[str] = frozenset()
    began: float = -math.inf
    last_used: float = -math.inf
    signed_in: SignedIn = UNKNOWN
    is_held: bool = False


@dataclass(slots=True)
class AgentFacts:
    """Everything that decisions about one agent need, as of feed position `position`.

    `agent_until`: the end of an ephemeral agent. `owner_until`: an agent whose owner left
    works on until then, so that an heir can be found, and no longer. `tokens_valid_after`:
    whatever was issued at or before it is dead, so that restoring an agent does not bring old tokens back;
    `client_tokens_valid_after` says the same of what one client was issued. `unproven_clients` are the public ones,
    which prove nothing when they call. `offers` lists the entitlements that could be requested for a tool; it only
    serves remedies. `answer_for_it` (the logins of sponsor and owner) and `groups` (the keys of those that grants
    name) say whose changes concern these facts. `delegates` are the agents that may act for this one. `behind` are the
    facts about the agents of a delegation chain behind this one, nearest first, at the same system; all share the
    sessions of the last, which began the chain. `kind` is the agent's. `guardrails` are those of all agents;
    `concerning` keeps, by tool, those that can match a call of it. `session_terms` are what session policies ask at
    each risk level. `settled` keeps, by tool and session, until when the session meets them, and the guardrails that
    must be asked about each call until then. A risk signal holds
    every call of the agent where it `is_held`, and every call for one of `held_people`, by login.
    """

    agent: str
    position: int
    status: Status
    sponsor: Status
    clients: Mapping[str, Status]
    people: Mapping[str, Status]
    systems: Mapping[str, Status]
    tools: Mapping[tuple[str, str], ToolFacts]
    lines: Mapping[tuple[str, str, str | None], tuple[Line, ...]]
    sessions: dict[str, SessionFacts] = field(default_factory=dict)
    dead_tokens: AbstractSet[str] = frozenset()
    owner_until: float = math.inf
    agent_until: float = math.inf
    tokens_valid_after: float = -math.inf
    client_tokens_valid_after: Mapping[str, float] = field(default_factory=dict)
    unproven_clients: AbstractSet[str] = frozenset()
    stopped: str = ""
    guardrails: tuple[Guardrail, ...] = ()
    offers: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    answer_for_it: frozenset[str] = frozenset()
    groups: frozenset[int] = frozenset()
    delegates: frozenset[str] = frozenset()
    behind: tuple[AgentFacts, ...] = ()
    session_terms: Levels = ()
    settled: dict[tuple[tuple[str, str], str | None], tuple[SessionFacts | None, float, tuple[Guardrail, ...]]] = field(
        init=False
    )
    kind: str = ""
    is_held: bool = False
    held_people: AbstractSet[str] = frozenset()
    concerning: dict[tuple[str, str], tuple[Guardrail, ...]] = field(init=False)
    held: Mapping[tuple[str, str | None], tuple[tuple[str, Line], ...]] = field(init=False)

    def __post_init__(self) -> None:
        """Index the lines by system and person, which is how issuing asks for them."""
        held: dict[tuple[str, str | None], list[tuple[str, Line]]] = {}
        for (system, tool, person), lines in self.lines.items():
            held.setdefault((system, person), []).extend((tool, line) for line in lines)
        self.held = {key: tuple(lines) for key, lines in held.items()}
        self.settled = {}
        self.concerning = {}

    @property
    def key(self) -> str:
        """The agent with those behind it (`chain_key`)."""
        return " ".join([self.agent, *(each.agent for each in self.behind)]) if self.behind else self.agent
