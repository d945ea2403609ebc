"""The decision point: from allowed worlds, one fact at a time."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.codes import TABLE, Code
from entitlements.decisions import limits, policy
from entitlements.decisions.snapshot import Line
from entitlements.decisions.verdicts import Effect
from entitlements.guardrails.rules import Guardrail
from entitlements.words import Action, Next, Risk, Status
from tests.entitlements import worlds
from tests.entitlements.worlds import CALL_SPOILERS, NOW, PERSON_SPOILERS, SPOILERS, Spoiler, World

spoilers = st.sampled_from(SPOILERS)


def names(spoiler: Spoiler) -> str:
    return spoiler.name


@given(worlds.allowed_worlds())
def test_a_world_in_order_is_allowed_and_names_its_grant(world: World) -> None:
    verdict = world.decide()

    assert (verdict.effect, verdict.code, verdict.grant) == (Effect.ALLOW, Code.ALLOWED, "grant-1")
    assert verdict.tool_version == "v1"
    assert verdict.reasons[0].grant == "grant-1"


@given(worlds.allowed_worlds(), spoilers)
def test_spoiling_any_one_fact_turns_allow_into_its_own_refusal(world: World, spoil: Spoiler) -> None:
    assert world.decide().allowed

    verdict = spoil(world).decide()

    assert not verdict.allowed
    assert verdict.code is spoil.code
    assert verdict.reasons
    assert verdict.remedy is not None


@pytest.mark.parametrize("spoil", [*PERSON_SPOILERS, *CALL_SPOILERS], ids=names)
def test_spoiling_what_is_about_the_person_or_the_call_refuses_too(spoil: Spoiler) -> None:
    assert spoil(worlds.allowed()).decide().code is spoil.code


@given(worlds.allowed_worlds(), st.lists(st.sampled_from(SPOILERS), min_size=2, max_size=4))
def test_what_stands_earlier_in_the_order_names_the_code(world: World, several: list[Spoiler]) -> None:
    first = min(several, key=SPOILERS.index)
    for spoil in sorted(several, key=SPOILERS.index, reverse=True):
        if spoil.code is not first.code:
            world = spoil(world)

    assert first(world).decide().code is first.code


@pytest.mark.parametrize("spoil", SPOILERS, ids=names)
def test_a_tool_that_cannot_be_called_is_not_listed(spoil: Spoiler) -> None:
    assert worlds.allowed().seen() == {"get_current_time"}

    assert spoil(worlds.allowed()).seen() == set()


@pytest.mark.parametrize("risk", Risk)
def test_a_client_that_proves_nothing_calls_tools_of_medium_risk_at_most(risk: Risk) -> None:
    world = worlds.allowed()
    world.facts.tools = {key: replace(tool, risk=risk) for key, tool in world.facts.tools.items()}
    assert world.decide().allowed
    world.facts.unproven_clients = frozenset({world.call.client})
    assert world.decide().allowed is (risk in {Risk.LOW, Risk.MEDIUM})
    assert bool(world.seen()) is world.decide().allowed
    world.facts.unproven_clients = frozenset({"another"})
    assert world.decide().allowed


def test_the_list_leaves_out_arguments_and_nothing_else() -> None:
    world = worlds.allowed()
    world.call.arguments = {"timezone": "Mars/Olympus"}

    assert world.decide().code is Code.ARGUMENT_OUTSIDE_LIMIT
    assert world.seen() == {"get_current_time"}


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (NOW - 60.001, Code.GRANT_NOT_STARTED),
        (NOW - 60, Code.ALLOWED),
        (math.nextafter(NOW + 3600, 0), Code.ALLOWED),
        (NOW + 3600, Code.GRANT_EXPIRED),
        (NOW + 3601, Code.GRANT_EXPIRED),
    ],
)
def test_a_grant_counts_from_its_first_instant_and_not_in_its_last(now: float, code: Code) -> None:
    world = worlds.allowed(token=False)
    world.call.session = None
    world.now = now

    assert world.decide().code is code


@pytest.mark.parametrize(
    ("argument", "code"),
    [("UTC", Code.ALLOWED), ("utc", Code.ARGUMENT_OUTSIDE_LIMIT), (None, Code.ARGUMENT_OUTSIDE_LIMIT)],
)
def test_arguments_decide(argument: str | None, code: Code) -> None:
    world = worlds.allowed()
    world.call.arguments = {"timezone": argument}

    verdict = world.decide()

    assert verdict.code is code
    assert "utc" not in verdict.reasons[0].sentence


def test_the_most_telling_near_miss_names_the_code_and_all_are_shown() -> None:
    world = worlds.allowed()
    good = world.facts.lines[world.key][0]
    over = replace(good, grant="grant-0", expires=NOW - 1)
    capped = replace(good, grant="grant-2", limits=limits.compile({"timezone": {"equals": "Asia/Tokyo"}}))
    world.facts.lines = {world.key: (over, capped)}

    verdict = world.decide()

    assert verdict.code is Code.ARGUMENT_OUTSIDE_LIMIT
    assert [(reason.grant, reason.code) for reason in verdict.reasons] == [
        ("grant-0", Code.GRANT_EXPIRED),
        ("grant-2", Code.ARGUMENT_OUTSIDE_LIMIT),
    ]


def test_any_one_line_that_covers_is_enough() -> None:
    world = worlds.allowed()
    good = world.facts.lines[world.key][0]
    world.facts.lines = {world.key: (replace(good, suspended=True), replace(good, grant="grant-2", because=()))}

    assert world.decide().grant == "grant-2"


def test_a_missing_grant_says_what_to_request() -> None:
    world = worlds.allowed()
    world.facts.lines = {}

    remedy = world.decide().remedy

    assert remedy is not None
    assert (remedy.next, remedy.scopes, remedy.tool, remedy.person) == (
        Next.REQUEST,
        ("time:read",),
        "get_current_time",
        "alice",
    )


def test_a_missing_scope_says_which_scope_the_next_token_needs() -> None:
    world = worlds.allowed()
    assert world.call.token is not None
    world.call.token = replace(world.call.token, scopes=frozenset())

    remedy = world.decide().remedy

    assert remedy is not None
    assert (remedy.next, remedy.scopes) == (Next.RETRY, ("time:read",))


def test_an_agent_on_its_own_holds_nothing_that_was_granted_for_people() -> None:
    world = worlds.allowed("alice")
    world.call.person = None
    world.facts.sessions = {"run-1": replace(world.facts.sessions["run-1"], person=None)}

    assert world.decide().code is Code.NO_GRANT


def test_a_person_gains_nothing_from_what_the_agent_holds_on_its_own() -> None:
    world = worlds.allowed(None, crowd=0)
    world.call.person = "alice"
    world.facts.people = {"alice": Status.ACTIVE}
    world.facts.sessions = {"run-1": replace(world.facts.sessions["run-1"], person="alice")}

    assert world.decide().code is Code.NO_GRANT


# Guardrails


def guarded(rule: Guardrail, *, approval: str | None = None, signed_in: float = NOW - 60) -> World:
    world = worlds.allowed()
    world.facts.guardrails = (rule,)
    world.facts.sessions = {"run-1": replace(world.facts.sessions["run-1"], authenticated_at=signed_in)}
    world.call.approval = approval
    return world


@pytest.mark.parametrize(
    ("selector", "stops"),
    [
        ({}, True),
        ({"systems": frozenset({"time"})}, True),
        ({"systems": frozenset({"git"})}, False),
        ({"tools": frozenset({("time", "get_current_time")})}, True),
        ({"tools": frozenset({("git", "get_current_time")})}, False),
        ({"actions": frozenset({Action.READ})}, True),
        ({"actions": frozenset({Action.WRITE})}, False),
        ({"risks": frozenset({Risk.LOW})}, True),
        ({"risks": frozenset({Risk.HIGH})}, False),
        ({"labels": frozenset({"pii"})}, False),
        ({"session_risk": Risk.LOW}, True),
        ({"session_risk": Risk.MEDIUM}, False),
        ({"systems": frozenset({"time"}), "actions": frozenset({Action.WRITE})}, False),
    ],
)
def test_a_guardrail_stops_what_it_selects_and_nothing_else(selector: dict[str, object], *, stops: bool) -> None:
    rule = Guardrail("rule", Effect.DENY, **selector)  # type: ignore[arg-type]

    assert guarded(rule).decide().code is (Code.GUARDRAIL if stops else Code.ALLOWED)


@pytest.mark.parametrize("selector", [{"labels": frozenset({"pii"})}, {"session_risk": Risk.HIGH}])
def test_without_a_session_a_guardrail_about_sessions_matches(selector: dict[str, object]) -> None:
    world = guarded(Guardrail("rule", Effect.DENY, **selector))  # type: ignore[arg-type]
    assert world.decide().allowed
    world.call.token = world.call.session = None

    assert world.decide().code is Code.GUARDRAIL


def test_a_labelled_session_is_stopped_where_the_label_may_not_go() -> None:
    world = guarded(Guardrail("rule", Effect.DENY, labels=frozenset({"pii", "payroll"})))
    world.facts.sessions = {"run-1": replace(world.facts.sessions["run-1"], labels=frozenset({"payroll"}))}

    assert world.decide().code is Code.GUARDRAIL


def test_a_guardrail_that_holds_waits_for_a_person_and_then_lets_pass() -> None:
    rule = Guardrail("rule", Effect.HOLD)

    held = guarded(rule).decide()
    assert (held.effect, held.code) == (Effect.HOLD, Code.APPROVAL_REQUIRED)
    assert guarded(rule, approval="approval-1").decide().allowed
    assert guarded(rule).seen() == {"get_current_time"}


@pytest.mark.parametrize(("signed_in", "allowed"), [(NOW - 300, True), (NOW - 300.001, False), (math.nan, False)])
def test_a_guardrail_that_steps_up_wants_a_fresh_sign_in(signed_in: float, *, allowed: bool) -> None:
    verdict = guarded(Guardrail("rule", Effect.STEP_UP), signed_in=signed_in).decide()

    assert verdict.allowed is allowed
    assert allowed or (verdict.effect, verdict.code) == (Effect.STEP_UP, Code.REAUTHENTICATION_DUE)


def test_the_strictest_guardrail_wins_whatever_their_order() -> None:
    hold, deny = Guardrail("a", Effect.HOLD), Guardrail("b", Effect.DENY)
    world = guarded(hold, approval="approval-1")
    world.facts.guardrails = (hold, deny)

    assert world.decide().code is Code.GUARDRAIL


@pytest.mark.parametrize("change", [{"systems": frozenset()}, {"effect": Effect.ALLOW}])
def test_a_guardrail_that_could_never_stop_anything_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="can never stop"):
        Guardrail(**{"name": "x", "effect": Effect.DENY, **change})  # type: ignore[arg-type]


def test_a_line_that_asks_each_time_holds_until_a_person_approved_this_call() -> None:
    world = worlds.allowed()
    line = world.facts.lines[world.key][0]
    world.facts.lines = {world.key: (replace(line, ask=True),)}

    assert world.decide().effect is Effect.HOLD
    world.call.approval = "approval-1"
    assert world.decide().allowed


@pytest.mark.parametrize("asking_first", [True, False])
def test_a_line_that_does_not_ask_covers_whatever_the_order(*, asking_first: bool) -> None:
    world = worlds.allowed()
    plain = world.facts.lines[world.key][0]
    asking = Line("grant-2", "time:read", plain.starts, plain.expires, ask=True)
    world.facts.lines = {world.key: (asking, plain) if asking_first else (plain, asking)}

    assert world.decide().grant == "grant-1"


# Introspection


@given(worlds.allowed_worlds(), spoilers)
def test_a_token_is_live_only_as_long_as_it_opens_something(world: World, spoil: Spoiler) -> None:
    assert policy.still_live(world.call, world.facts, world.now).allowed

    assert not policy.still_live(spoil(world).call, world.facts, world.now).allowed


def test_a_token_whose_scopes_are_no_longer_held_is_not_live() -> None:
    world = worlds.allowed()
    assert world.call.token is not None
    world.call.token = replace(world.call.token, scopes=frozenset({"time:write"}))

    assert policy.still_live(world.call, world.facts, world.now).code is Code.NO_GRANT
    assert policy.live_scopes(world.call, world.facts, world.now) == ()


def test_a_token_that_covers_all_opens_what_its_scopes_do_not_name() -> None:
    world = worlds.allowed()
    assert world.call.token is not None
    narrow = replace(world.call.token, scopes=frozenset())
    for token, opens in ((replace(narrow, covers_all=True), True), (narrow, False)):
        call = replace(world.call, token=token)
        assert policy.decide(call, world.facts, world.now).allowed is opens
        assert policy.still_live(call, world.facts, world.now).allowed is opens
        assert bool(policy.visible_tools(call, world.facts, world.now)) is opens
        assert policy.live_scopes(call, world.facts, world.now) == (("time:read",) if opens else ())


def test_every_code_has_a_row_and_every_row_its_sentence() -> None:
    assert set(TABLE) == set(Code)
    assert all(meaning.sentence.endswith(".") for meaning in TABLE.values())
    assert all(meaning.status >= 400 and meaning.oauth for code, meaning in TABLE.items() if code is not Code.ALLOWED)
