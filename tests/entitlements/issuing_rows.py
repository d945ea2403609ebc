"""What mutants of the rules must notice about issuing: principals, lives, and tokens that carry nothing or all."""

from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

from entitlements.codes import Code
from entitlements.decisions.snapshot import Line
from entitlements.words import Flow
from tests.entitlements import worlds
from tests.entitlements.worlds import NOW, PERSON_SPOILERS, SPOILERS


def complaints(policy: ModuleType) -> Iterator[str]:
    for spoil in (None, *SPOILERS, *PERSON_SPOILERS):
        world = spoil(worlds.allowed()) if spoil else worlds.allowed()
        if policy.may_issue(world.issuance, world.facts, world.now).allowed is not (spoil is None):
            yield f"issue: {spoil and spoil.name}"
        if policy.still_live(world.call, world.facts, world.now).allowed is not (spoil is None):
            yield f"introspect: {spoil and spoil.name}"
    narrow = worlds.allowed()
    assert narrow.call.token is not None
    narrow.call.token = replace(narrow.call.token, scopes=frozenset())
    if policy.still_live(narrow.call, narrow.facts, narrow.now).allowed:
        yield "introspect: scope not held"
    empty = worlds.allowed()
    empty.issuance.token = None
    if policy.may_issue(empty.issuance, empty.facts, empty.now).code is not Code.TOKEN_MISSING:
        yield "issue: nothing presented"
    yield from _about_ends(policy)
    yield from _about_empty_hands(policy)


def _about_empty_hands(policy: ModuleType) -> Iterator[str]:
    """A token that carries nothing, and one that covers whatever is held."""
    for name, changes, lines, expected in (
        ("nothing held", {}, (), True),
        ("not for this flow", {"may_be_empty": False}, (), False),
        ("for no person", {"person": None, "session": None}, (), False),
        ("above the ceiling", {"requested": frozenset({"time:other"})}, (), False),
        ("suspended", {}, (Line("g", "time:read", NOW - 1, NOW + 90, suspended=True),), False),
    ):
        world = worlds.allowed()
        world.facts.lines = {world.key: lines}
        world.facts.__post_init__()
        world.issuance.may_be_empty = True
        for field, value in changes.items():
            setattr(world.issuance, field, value)
        if policy.may_issue(world.issuance, world.facts, world.now).allowed is not expected:
            yield f"empty: {name}"
    for covers_all in (True, False):
        world = worlds.allowed()
        assert world.call.token is not None
        world.call.token = replace(world.call.token, scopes=frozenset(), covers_all=covers_all)
        decided, live = (ask(world.call, world.facts, world.now).allowed for ask in (policy.decide, policy.still_live))
        if {decided, live, bool(policy.live_scopes(world.call, world.facts, world.now))} != {covers_all}:
            yield f"covers all: {covers_all}"


def _about_ends(policy: ModuleType) -> Iterator[str]:
    """The life of a token: earliest scope, longest grant of a scope, session, wish; and the ceiling."""
    for ends, session, lifetime, expected in (
        ((90.9, 9000.0), 7200.0, 300.0, 90),
        ((900.0, 9000.0), 50.0, 300.0, 50),
        ((900.0, 9000.0), 7200.0, 300.0, 300),
        ((0.5, 9000.0), 7200.0, 300.0, None),
    ):
        world = worlds.allowed()
        short, long = (Line(f"g{end}", f"time:{end}", NOW - 1, NOW + end) for end in ends)
        twice = replace(long, grant="shorter", expires=NOW + 10, because=())
        world.facts.lines = {world.key: (short, twice, long)}
        world.facts.sessions = {"run-1": replace(world.facts.sessions["run-1"], absolute_until=NOW + session)}
        world.facts.__post_init__()
        world.issuance.flow, world.issuance.requested, world.issuance.lifetime = Flow.TOKEN_EXCHANGE, None, lifetime
        issue = policy.may_issue(world.issuance, world.facts, world.now).issue
        if (issue.expires - NOW if issue else None) != expected:
            yield f"life: {ends} {session} {lifetime}"
    brief = worlds.allowed()
    brief.facts.agent_until = NOW + 7
    issue = policy.may_issue(brief.issuance, brief.facts, brief.now).issue
    if issue is None or issue.expires - NOW != 7:
        yield "life: longer than the agent's"
    ceiling = worlds.allowed()
    assert ceiling.issuance.token is not None
    ceiling.issuance.token = replace(ceiling.issuance.token, scopes=frozenset({"time:other"}))
    if policy.may_issue(ceiling.issuance, ceiling.facts, ceiling.now).allowed:
        yield "issue: above the ceiling"
    signing_in = worlds.allowed()
    signing_in.issuance.system, signing_in.issuance.flow = None, Flow.TOKEN_EXCHANGE
    issued = policy.may_issue(signing_in.issuance, signing_in.facts, signing_in.now).issue
    if issued is None or issued.scopes:
        yield "issue: a sign-in that carries rights"
