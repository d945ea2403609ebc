"""Issuing: the same principals, the same grants, and no token outlives what it stands on."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.codes import Code
from entitlements.decisions.scopes import Outcome
from entitlements.decisions.snapshot import Line, Token
from entitlements.words import REDEEMING, Flow, Next, Risk, ToolState
from tests.entitlements import worlds
from tests.entitlements.worlds import NOW, PERSON_SPOILERS, SPOILERS, Spoiler, World


def names(spoiler: Spoiler) -> str:
    return spoiler.name


def holding(*lines: Line, requested: frozenset[str] | None = None) -> World:
    world = worlds.allowed()
    world.facts.lines = {world.key: lines}
    world.facts.__post_init__()
    world.issuance.flow, world.issuance.requested, world.issuance.token = Flow.TOKEN_EXCHANGE, requested, None
    return world


def line(grant: str, scope: str, ends: float) -> Line:
    return Line(grant, scope, NOW - 60, ends)


@given(worlds.allowed_worlds(), st.sampled_from(Flow))
def test_every_grant_type_issues_in_a_world_in_order(world: World, flow: Flow) -> None:
    world.issuance.flow = flow

    verdict = world.issue()

    assert verdict.allowed
    assert verdict.issue is not None
    assert verdict.issue.scopes == ("time:read",)
    assert verdict.issue.grants == ("grant-1",)
    assert world.now < verdict.issue.expires <= world.now + 300


@given(worlds.allowed_worlds(), st.sampled_from(SPOILERS), st.sampled_from(Flow))
def test_no_grant_type_issues_once_one_fact_is_spoiled(world: World, spoil: Spoiler, flow: Flow) -> None:
    world.issuance.flow = flow

    verdict = spoil(world).issue()

    assert not verdict.allowed
    assert verdict.issue is None
    assert verdict.code is (Code.NO_GRANT if spoil.about_tool else spoil.code)


@pytest.mark.parametrize("spoil", PERSON_SPOILERS, ids=names)
def test_no_token_is_issued_for_a_person_who_may_not(spoil: Spoiler) -> None:
    assert spoil(worlds.allowed()).issue().code is spoil.code


@pytest.mark.parametrize("flow", sorted(REDEEMING))
def test_what_redeems_something_must_present_it(flow: Flow) -> None:
    world = worlds.allowed()
    world.issuance.flow, world.issuance.token = flow, None

    assert world.issue().code is Code.TOKEN_MISSING


@pytest.mark.parametrize("flow", sorted(REDEEMING))
def test_what_is_redeemed_is_the_ceiling(flow: Flow) -> None:
    world = holding(line("a", "time:read", NOW + 900), line("b", "time:write", NOW + 900))
    world.issuance.flow = flow
    world.issuance.token = worlds.allowed().call.token
    world.issuance.requested = frozenset({"time:read", "time:write"})

    issue = world.issue().issue

    assert issue is not None
    assert issue.scopes == ("time:read",)
    assert issue.outcomes == {"time:read": Outcome.GRANTED, "time:write": Outcome.OUTSIDE_CEILING}


def test_an_absent_scope_in_a_redemption_means_those_of_what_is_redeemed() -> None:
    world = worlds.allowed()
    assert world.issuance.token is not None
    world.issuance.requested = None
    world.issuance.token = replace(world.issuance.token, scopes=frozenset({"time:read", "offline_access"}))

    issue = world.issue().issue

    assert issue is not None
    assert issue.outcomes == {"time:read": Outcome.GRANTED}


def test_every_requested_scope_gets_its_outcome() -> None:
    world = holding(line("a", "time:read", NOW + 900), requested=frozenset({"time:read", "time:write", "git:read"}))

    issue = world.issue().issue

    assert issue is not None
    assert issue.outcomes == {
        "git:read": Outcome.OTHER_SYSTEM,
        "time:read": Outcome.GRANTED,
        "time:write": Outcome.NOT_HELD,
    }


def test_a_token_dies_with_the_earliest_of_its_scopes() -> None:
    world = holding(line("long", "time:read", NOW + 9000), line("short", "time:write", NOW + 90.9))

    issue = world.issue().issue

    assert issue is not None
    assert issue.expires == NOW + 90
    assert issue.grants == ("long", "short")


def test_a_scope_lives_as_long_as_the_longest_grant_that_carries_it() -> None:
    world = holding(line("short", "time:read", NOW + 20), line("long", "time:read", NOW + 200))

    issue = world.issue().issue

    assert issue is not None
    assert (issue.expires, issue.grants) == (NOW + 200, ("long",))


@given(
    st.lists(st.tuples(st.sampled_from("rwx"), st.floats(-100, 1000)), max_size=6),
    st.floats(1, 1000),
    st.floats(1, 1000),
)
def test_no_token_outlives_any_grant_it_stands_on_nor_its_session(
    held: list[tuple[str, float]], lifetime: float, session: float
) -> None:
    lines = {f"grant-{n}": line(f"grant-{n}", f"time:{scope}", NOW + ends) for n, (scope, ends) in enumerate(held)}
    world = holding(*lines.values())
    world.issuance.lifetime = lifetime
    world.facts.sessions = {"run-1": replace(world.facts.sessions["run-1"], absolute_until=NOW + session)}

    issue = world.issue().issue

    if issue is not None:
        assert issue.grants
        assert issue.expires <= min(lines[grant].expires for grant in issue.grants)
        assert issue.expires <= min(NOW + session, NOW + lifetime)
        assert issue.expires > NOW
        assert {lines[grant].scope for grant in issue.grants} == set(issue.scopes)


@pytest.mark.parametrize("lifetime", [0.0, 0.9, -5.0, math.nan, math.inf])
def test_a_token_that_would_be_dead_or_immortal_is_not_issued(lifetime: float) -> None:
    world = worlds.allowed()
    world.issuance.lifetime = lifetime

    assert not world.issue().allowed or lifetime == math.inf
    issue = world.issue().issue
    assert issue is None or issue.expires == NOW + 3600


def test_nothing_held_is_denied_with_the_request_that_would_help() -> None:
    verdict = holding(requested=frozenset({"time:write"})).issue()

    assert verdict.code is Code.NO_GRANT
    assert verdict.remedy is not None
    assert (verdict.remedy.next, verdict.remedy.scopes) == (Next.REQUEST, ("time:write",))


def test_a_scope_of_which_every_tool_is_quarantined_is_not_issued() -> None:
    world = holding(line("a", "time:read", NOW + 900))
    tool = world.facts.tools["time", "get_current_time"]
    world.facts.tools = {("time", "get_current_time"): replace(tool, state=ToolState.QUARANTINED, risk=Risk.HIGH)}

    verdict = world.issue()

    assert verdict.code is Code.NO_GRANT
    assert "not approved" in verdict.reasons[0].sentence


def test_a_session_may_begin_with_the_token_but_only_when_the_door_says_so() -> None:
    world = worlds.allowed()
    world.issuance.session = None
    assert world.issue().code is Code.SESSION_UNKNOWN

    world.issuance.begins_session = True
    assert world.issue().allowed


def test_a_sign_in_needs_no_grant_and_every_principal() -> None:
    world = worlds.allowed()
    world.facts.lines = {}
    world.facts.__post_init__()
    world.issuance.system, world.issuance.requested = None, frozenset({"openid", "offline_access", "time:read"})
    world.issuance.flow = Flow.TOKEN_EXCHANGE

    verdict = world.issue()

    assert verdict.allowed
    assert verdict.issue is not None
    assert verdict.issue.scopes == ("offline_access", "openid")
    assert verdict.issue.outcomes["time:read"] is Outcome.OTHER_SYSTEM


@pytest.mark.parametrize("spoil", [s for s in (*SPOILERS[3:22], *PERSON_SPOILERS) if "system" not in s.name], ids=names)
def test_a_sign_in_is_refused_to_whoever_may_not(spoil: Spoiler) -> None:
    world = worlds.allowed()
    world.issuance.system = None

    assert spoil(world).issue().code is spoil.code


def empty_handed(world: World, **changes: object) -> World:
    world.issuance.flow = Flow.REFRESH
    world.issuance.token = Token("one", NOW - 60, NOW + 900, frozenset({"time:read", "time:write"}))
    world.issuance.may_be_empty = True
    for name, value in changes.items():
        setattr(world.issuance, name, value)
    return world


@pytest.mark.parametrize("held", [(), (line("over", "time:read", NOW - 1),)], ids=["none", "one that is over"])
def test_where_a_grant_alone_is_missing_a_token_may_carry_nothing(held: tuple[Line, ...]) -> None:
    verdict = empty_handed(holding(*held)).issue()

    assert verdict.issue is not None
    assert (verdict.issue.scopes, verdict.issue.grants) == ((), ())
    assert NOW < verdict.issue.expires <= NOW + 300


@pytest.mark.parametrize(
    ("held", "changes", "code"),
    [
        ((), {"may_be_empty": False}, Code.NO_GRANT),
        ((), {"person": None, "session": None}, Code.NO_GRANT),
        ((), {"requested": frozenset({"time:other"})}, Code.NO_GRANT),
        ((), {"requested": frozenset({"git:read"})}, Code.NO_GRANT),
        ((replace(line("off", "time:read", NOW + 900), suspended=True),), {}, Code.GRANT_SUSPENDED),
        ((replace(line("later", "time:read", NOW + 900), starts=NOW + 60),), {}, Code.GRANT_NOT_STARTED),
    ],
    ids=["another flow", "no person", "outside what was agreed", "of another system", "suspended", "not begun"],
)
def test_a_token_carries_nothing_for_no_other_reason(
    held: tuple[Line, ...], changes: dict[str, object], code: Code
) -> None:
    verdict = empty_handed(holding(*held), **changes).issue()

    assert (verdict.issue, verdict.code) == (None, code)


IN_THE_WAY = [
    spoil for spoil in SPOILERS if not spoil.about_tool and spoil.code not in (Code.NO_GRANT, Code.GRANT_EXPIRED)
]


@given(worlds.allowed_worlds(), st.sampled_from(IN_THE_WAY))
def test_no_token_carries_nothing_where_a_principal_may_not(world: World, spoil: Spoiler) -> None:
    world.issuance.flow, world.issuance.may_be_empty = Flow.REFRESH, True
    verdict = spoil(world).issue()

    assert (verdict.issue, verdict.code) == (None, spoil.code)
