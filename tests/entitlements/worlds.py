"""Allowed worlds, and ways to spoil exactly one fact in them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from entitlements import arguments
from entitlements.codes import Code
from entitlements.decisions import limits, policy
from entitlements.decisions.snapshot import AgentFacts, Call, Issuance, Line, SessionFacts, Token, ToolFacts
from entitlements.decisions.verdicts import Effect, Verdict
from entitlements.guardrails.rules import Guardrail
from entitlements.words import Action, Flow, Risk, Status, ToolState

NOW = 1_800_000_000.0
PARIS = limits.compile({"timezone": {"one_of": ["Europe/Paris", "UTC"]}})
IN_PARIS = {"timezone": "Europe/Paris"}
SCHEMA = arguments.Schema(
    '{"type": "object", "properties": {"timezone": {"type": "string"}, "unit": {}}, "required": ["timezone"]}'
)

type Key = tuple[str, str, str | None]


@dataclass
class World:
    """A call, an issuance, and the facts they are decided on. Spoilers change it in place."""

    call: Call
    issuance: Issuance
    facts: AgentFacts
    now: float = NOW

    @property
    def key(self) -> Key:
        return self.call.system, self.call.tool, self.call.person

    def decide(self) -> Verdict:
        return policy.decide(self.call, self.facts, self.now)

    def issue(self) -> Verdict:
        return policy.may_issue(self.issuance, self.facts, self.now)

    def seen(self) -> set[str]:
        return {tool.name for tool in policy.visible_tools(self.call, self.facts, self.now)}


def allowed(person: str | None = "alice", *, cap: limits.Compiled = PARIS, crowd: int = 1, token: bool = True) -> World:
    """Build a world in which everything is in order: the call is allowed, and a token may be issued."""
    line = Line("grant-1", "time:read", NOW - 60, NOW + 3600, cap)
    strangers = {f"person-{number}": Status.ACTIVE for number in range(crowd)}
    lines: dict[Key, tuple[Line, ...]] = {
        ("time", "get_current_time", name): (replace(line, grant=f"grant-of-{name}", because=()),) for name in strangers
    }
    lines["time", "get_current_time", person] = (line,)
    facts = AgentFacts(
        agent="expense-bot",
        position=7,
        status=Status.ACTIVE,
        sponsor=Status.ACTIVE,
        clients={"claude": Status.ACTIVE},
        people=strangers if person is None else {**strangers, person: Status.ACTIVE},
        systems={"time": Status.ACTIVE},
        tools={
            ("time", name): ToolFacts("time", name, ToolState.APPROVED, "v1", "hash-1", Action.READ, Risk.LOW, SCHEMA)
            for name in ("get_current_time", "convert_time")
        },
        lines=lines,
        sessions={"run-1": SessionFacts(person, NOW + 600, NOW + 7200, NOW - 60)},
        offers={("time", "get_current_time"): ("time:read",)},
    )
    held = Token("token-1", NOW - 30, NOW + 270, frozenset({"time:read"})) if token else None
    call = Call("expense-bot", "claude", person, "time", "get_current_time", IN_PARIS, held, "run-1", "hash-1")
    wanted = frozenset({"time:read"})
    issuance = Issuance(
        Flow.REFRESH, "expense-bot", "claude", person, "time", wanted, 300.0, held or _refresh(), "run-1"
    )
    return World(call, issuance, facts)


def _refresh() -> Token:
    return Token("refresh-1", NOW - 30, NOW + 86400, frozenset({"time:read"}))


def with_schema(world: World, schema: arguments.Schema, sent: Mapping[str, object]) -> World:
    """Let the tool have another approved schema, and the call these arguments."""
    _tool(world, schema=schema)
    world.call.arguments = sent
    return world


def allowed_worlds() -> st.SearchStrategy[World]:
    """Worlds in which the call is allowed: with and without a person, limits, a crowd, and guardrails about others."""
    harmless = Guardrail("no-deletes", Effect.DENY, actions=frozenset({Action.DELETE}))
    return st.builds(
        _world,
        st.sampled_from(["alice", None]),
        st.sampled_from([PARIS, limits.Compiled.unlimited()]),
        st.integers(0, 3),
        st.sampled_from([(), (harmless,)]),
        st.floats(NOW - 59, NOW + 269),
    )


def _world(
    person: str | None, cap: limits.Compiled, crowd: int, guardrails: tuple[Guardrail, ...], now: float
) -> World:
    world = allowed(person, cap=cap, crowd=crowd)
    world.facts.guardrails = guardrails
    world.now = max(now, NOW)
    return world


@dataclass(frozen=True)
class Spoiler:
    """One fact made wrong, and the code that must then be answered."""

    name: str
    code: Code
    spoil: Callable[[World], None]
    about_tool: bool = False

    def __call__(self, world: World) -> World:
        self.spoil(world)
        world.facts.__post_init__()  # index the lines again
        return world


def _session(world: World, **changes: object) -> None:
    session = world.facts.sessions["run-1"]
    world.facts.sessions = {"run-1": replace(session, **changes)}  # type: ignore[arg-type]


def _tool(world: World, **changes: object) -> None:
    name = (world.call.system, world.call.tool)
    world.facts.tools = {**world.facts.tools, name: replace(world.facts.tools[name], **changes)}  # type: ignore[arg-type]


def _line(world: World, **changes: object) -> None:
    lines = world.facts.lines.get(world.key) or (Line("grant-1", "time:read", NOW - 60, NOW + 3600, PARIS),)
    world.facts.lines = {**world.facts.lines, world.key: (replace(lines[0], **changes),)}  # type: ignore[arg-type]


def _token(world: World, **changes: object) -> None:
    assert world.call.token is not None
    world.call.token = replace(world.call.token, **changes)  # type: ignore[arg-type]
    assert world.issuance.token is not None
    world.issuance.token = replace(world.issuance.token, **changes)  # type: ignore[arg-type]


def _both(world: World, **changes: object) -> None:
    for name, value in changes.items():
        setattr(world.call, name, value)
        setattr(world.issuance, name, value)


def _by_a_public_client(world: World, risk: Risk) -> None:
    """Let the client be a public one, and the tool be of a risk."""
    world.facts.unproven_clients = frozenset({world.call.client})
    _tool(world, risk=risk)


def _set(world: World, **changes: object) -> None:
    for name, value in changes.items():
        setattr(world.facts, name, value)


SPOILERS: tuple[Spoiler, ...] = (
    Spoiler("everything is stopped", Code.EVERYTHING_STOPPED, lambda w: _set(w, stopped="incident 12")),
    Spoiler("system unknown", Code.SYSTEM_UNKNOWN, lambda w: _set(w, systems={})),
    Spoiler("system disabled", Code.SYSTEM_DISABLED, lambda w: _set(w, systems={"time": Status.DISABLED})),
    Spoiler("another agent's facts", Code.AGENT_UNKNOWN, lambda w: _both(w, agent="build-bot")),
    Spoiler("agent staged", Code.AGENT_STAGED, lambda w: _set(w, status=Status.STAGED)),
    Spoiler("agent suspended", Code.AGENT_SUSPENDED, lambda w: _set(w, status=Status.SUSPENDED)),
    Spoiler("agent disabled", Code.AGENT_SUSPENDED, lambda w: _set(w, status=Status.DISABLED)),
    Spoiler("agent retired", Code.AGENT_RETIRED, lambda w: _set(w, status=Status.RETIRED)),
    Spoiler("agent at its end", Code.AGENT_RETIRED, lambda w: _set(w, agent_until=w.now)),
    Spoiler("sponsor missing", Code.SPONSOR_MISSING, lambda w: _set(w, sponsor=Status.MISSING)),
    Spoiler("sponsor disabled", Code.SPONSOR_DISABLED, lambda w: _set(w, sponsor=Status.DISABLED)),
    Spoiler("owner gone too long", Code.OWNER_DISABLED, lambda w: _set(w, owner_until=w.now)),
    Spoiler("client unknown", Code.CLIENT_UNKNOWN, lambda w: _both(w, client="stranger")),
    Spoiler("client disabled", Code.CLIENT_DISABLED, lambda w: _set(w, clients={"claude": Status.DISABLED})),
    Spoiler("token revoked", Code.TOKEN_REVOKED, lambda w: _set(w, dead_tokens={"token-1"})),
    Spoiler("token from before a stop", Code.TOKEN_REVOKED, lambda w: _set(w, tokens_valid_after=NOW - 30)),
    Spoiler(
        "token from before a stop of its client",
        Code.TOKEN_REVOKED,
        lambda w: _set(w, client_tokens_valid_after={"claude": NOW - 30}),
    ),
    Spoiler("token expired", Code.TOKEN_EXPIRED, lambda w: _token(w, expires=w.now)),
    Spoiler("session unknown", Code.SESSION_UNKNOWN, lambda w: _set(w, sessions={})),
    Spoiler("session of someone else", Code.SESSION_UNKNOWN, lambda w: _session(w, person="mallory")),
    Spoiler("session ended", Code.SESSION_ENDED, lambda w: _session(w, ended=True)),
    Spoiler("session too long", Code.SESSION_EXPIRED, lambda w: _session(w, absolute_until=w.now)),
    Spoiler("session idle", Code.SESSION_IDLE, lambda w: _session(w, idle_until=w.now)),
    Spoiler("sign-in due", Code.REAUTHENTICATION_DUE, lambda w: _session(w, reauthenticate_at=w.now)),
    Spoiler("unknown tool", Code.UNKNOWN_TOOL, lambda w: _set(w, tools={}), about_tool=True),
    Spoiler("tool pending", Code.TOOL_NOT_APPROVED, lambda w: _tool(w, state=ToolState.PENDING), about_tool=True),
    Spoiler("quarantined", Code.TOOL_QUARANTINED, lambda w: _tool(w, state=ToolState.QUARANTINED), about_tool=True),
    Spoiler("tool disabled", Code.TOOL_DISABLED, lambda w: _tool(w, state=ToolState.DISABLED), about_tool=True),
    Spoiler("tool removed", Code.TOOL_REMOVED, lambda w: _tool(w, state=ToolState.REMOVED), about_tool=True),
    Spoiler("grant suspended", Code.GRANT_SUSPENDED, lambda w: _line(w, suspended=True)),
    Spoiler("grant not begun", Code.GRANT_NOT_STARTED, lambda w: _line(w, starts=w.now + 0.001)),
    Spoiler("grant over", Code.GRANT_EXPIRED, lambda w: _line(w, expires=w.now)),
    Spoiler("no grant", Code.NO_GRANT, lambda w: _set(w, lines={})),
)

PERSON_SPOILERS: tuple[Spoiler, ...] = (
    Spoiler("person unknown", Code.PERSON_UNKNOWN, lambda w: _set(w, people={})),
    Spoiler("person disabled", Code.PERSON_DISABLED, lambda w: _set(w, people={"alice": Status.DISABLED})),
    Spoiler("session not named", Code.SESSION_UNKNOWN, lambda w: _both(w, session=None)),
)

CALL_SPOILERS: tuple[Spoiler, ...] = (
    Spoiler("client proves nothing", Code.CLIENT_UNPROVEN, lambda w: _by_a_public_client(w, Risk.HIGH)),
    Spoiler("tool changed", Code.TOOL_CHANGED, lambda w: setattr(w.call, "definition", "hash-2")),
    Spoiler("grant is another person's", Code.NO_GRANT, lambda w: _move_line(w, "time", "get_current_time", "bob")),
    Spoiler("grant is for another tool", Code.NO_GRANT, lambda w: _move_line(w, "time", "convert_time", w.call.person)),
    Spoiler(
        "grant is for another system", Code.NO_GRANT, lambda w: _move_line(w, "git", "get_current_time", w.call.person)
    ),
    Spoiler("limits unreadable", Code.ARGUMENT_OUTSIDE_LIMIT, lambda w: _line(w, limits=limits.load({"a": {"x": 1}}))),
    Spoiler("not declared", Code.ARGUMENT_NOT_DECLARED, lambda w: _argument(w, extra="/etc")),
    Spoiler("schema not read", Code.TOOL_DEFINITION_UNUSABLE, lambda w: _tool(w, schema=arguments.UNREAD)),
    Spoiler("not valid", Code.ARGUMENT_NOT_VALID, lambda w: _without_limits(w, timezone=5)),
    Spoiler("scope missing", Code.SCOPE_MISSING, lambda w: _token(w, scopes=frozenset({"time:write"}))),
    Spoiler("no scopes", Code.SCOPE_MISSING, lambda w: _token(w, scopes=frozenset())),
    Spoiler("guardrail", Code.GUARDRAIL, lambda w: _set(w, guardrails=(Guardrail("x", Effect.DENY),))),
    Spoiler("clock unknown", Code.TOKEN_EXPIRED, lambda w: setattr(w, "now", float("nan"))),
)


def _argument(world: World, **given: object) -> None:
    world.call.arguments = {**world.call.arguments, **given}


def _without_limits(world: World, **given: object) -> None:
    _line(world, limits=limits.Compiled.unlimited())
    _argument(world, **given)


def _move_line(world: World, system: str, tool: str, person: str | None) -> None:
    lines = dict(world.facts.lines)
    lines[system, tool, person] = lines.pop(world.key)
    world.facts.lines = lines
