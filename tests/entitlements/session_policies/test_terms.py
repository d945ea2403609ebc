"""What session policies ask, as pure rules: an allowed world, in which one fact at a time is spoiled."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entitlements.authentication import MULTI_FACTOR, PASSWORD, PHISHING_RESISTANT
from entitlements.codes import Code
from entitlements.decisions import policy
from entitlements.decisions.snapshot import SessionFacts
from entitlements.decisions.verdicts import Effect, Verdict
from entitlements.session_policies import rules
from entitlements.session_policies.rules import EarlierSession, Policy, SignedIn, Term
from entitlements.words import Risk
from tests.entitlements import worlds
from tests.entitlements.worlds import NOW, World

IDLE, ABSOLUTE, MAX_AGE = 900.0, 7200.0, 3600.0
STRICT = Policy("strict", Risk.LOW, IDLE, ABSOLUTE, MAX_AGE, (MULTI_FACTOR,), frozenset({"otp"}))
ENOUGH = SignedIn(NOW - 600, MULTI_FACTOR, frozenset({"pwd", "otp", "mfa"}))


def world(*policies: Policy, **session: object) -> World:
    """Return a world that meets all terms of the policies; `session` are facts of its session that differ."""
    made = worlds.allowed()
    made.facts.session_terms = rules.levels(policies)
    usual = SessionFacts("alice", NOW + 600, NOW + 7200, NOW - 600, began=NOW - 600, last_used=NOW - 60)
    made.facts.sessions["run-1"] = replace(usual, **{"signed_in": ENOUGH, **session})  # type: ignore[arg-type]
    return made


def beginning(*policies: Policy, signed_in: SignedIn = ENOUGH, earlier: tuple[EarlierSession, ...] = ()) -> Verdict:
    """Issue the first token of a session."""
    made = world(*policies)
    made.issuance.session, made.issuance.begins_session = None, True
    made.issuance.signed_in, made.issuance.earlier = signed_in, earlier
    return made.issue()


def live(made: World) -> Verdict:
    made.call.whole_token = True
    return policy.still_live(made.call, made.facts, made.now)


ASKS: dict[str, Callable[[World], Verdict]] = {"call": World.decide, "issue": World.issue, "introspection": live}
SPOILED: dict[Term, dict[str, object]] = {
    Term.ABSOLUTE: {"began": NOW - ABSOLUTE},
    Term.IDLE: {"last_used": NOW - IDLE},
    Term.MAX_AGE: {"signed_in": replace(ENOUGH, at=NOW - MAX_AGE - 1)},
    Term.ACR: {"signed_in": replace(ENOUGH, acr=PASSWORD, amr=frozenset({"pwd", "otp"}))},
    Term.AMR: {"signed_in": replace(ENOUGH, acr=PHISHING_RESISTANT, amr=frozenset({"pop", "mfa"}))},
}


@pytest.mark.parametrize("ask", ASKS)
def test_a_session_that_meets_all_terms_goes_on(ask: str) -> None:
    assert ASKS[ask](world(STRICT)).allowed
    assert ASKS[ask](world()).allowed


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("term", SPOILED)
def test_each_term_that_is_not_met_asks_for_a_sign_in_at_each_question(ask: str, term: Term) -> None:
    verdict = ASKS[ask](world(STRICT, **SPOILED[term]))
    assert (verdict.effect, verdict.code) == (Effect.STEP_UP, Code.REAUTHENTICATION_DUE)
    assert "strict" in verdict.reasons[0].sentence
    assert verdict.remedy is not None
    assert verdict.remedy.contexts == (MULTI_FACTOR,)
    most = 0 if term in (Term.ABSOLUTE, Term.IDLE) else int(MAX_AGE)
    assert verdict.remedy.max_age == most
    assert ASKS[ask](world(**SPOILED[term])).allowed, "without a policy only the session's own limits count"


@pytest.mark.parametrize("term", [Term.MAX_AGE, Term.ACR, Term.AMR])
def test_the_sign_in_with_which_a_session_would_begin_is_asked_too(term: Term) -> None:
    spoiled = SPOILED[term]["signed_in"]
    assert isinstance(spoiled, SignedIn)
    assert beginning(STRICT).allowed
    assert beginning(STRICT, signed_in=spoiled).code is Code.REAUTHENTICATION_DUE
    assert beginning(signed_in=spoiled).allowed


@pytest.mark.parametrize("ask", ASKS)
def test_what_is_not_known_of_a_sign_in_meets_no_term(ask: str) -> None:
    for term in (Policy("a", max_age=1e9), Policy("a", acr=(PASSWORD,)), Policy("a", amr=frozenset({"pwd"}))):
        assert ASKS[ask](world(term, signed_in=rules.UNKNOWN)).code is Code.REAUTHENTICATION_DUE
        assert beginning(term, signed_in=rules.UNKNOWN).code is Code.REAUTHENTICATION_DUE
        nan = SignedIn(math.nan, PASSWORD, frozenset())
        assert ASKS[ask](world(Policy("a", max_age=1e9), signed_in=nan)).code is Code.REAUTHENTICATION_DUE
    assert ASKS[ask](world(Policy("a"), signed_in=rules.UNKNOWN)).allowed


def test_a_session_that_is_over_begins_anew_by_a_fresh_sign_in_alone() -> None:
    over = (EarlierSession(NOW - 500, NOW - 400, NOW - 100),)
    assert beginning(Policy("a"), signed_in=SignedIn(NOW - 99), earlier=over).allowed
    for signed_in in (SignedIn(NOW - 100), SignedIn(NOW - 450), rules.UNKNOWN):
        verdict = beginning(Policy("a"), signed_in=signed_in, earlier=over)
        assert verdict.code is Code.REAUTHENTICATION_DUE
        assert verdict.remedy is not None
        assert verdict.remedy.max_age == 100
        assert beginning(Policy("a", renews=True), signed_in=signed_in, earlier=over).allowed
        assert beginning(Policy("a", renews=True), Policy("b"), signed_in=signed_in, earlier=over).remedy is not None
    open_still = (EarlierSession(NOW - 500, NOW - 400, NOW + 100),)
    assert beginning(Policy("a"), signed_in=rules.UNKNOWN, earlier=open_still).allowed
    by_policy = Policy("a", idle=300.0)
    assert beginning(by_policy, signed_in=rules.UNKNOWN, earlier=open_still).code is Code.REAUTHENTICATION_DUE


def test_a_session_that_lapsed_and_may_begin_anew_is_not_asked_for_a_sign_in() -> None:
    renews = replace(STRICT, renews=True)
    for term, code in ((Term.IDLE, Code.SESSION_IDLE), (Term.ABSOLUTE, Code.SESSION_EXPIRED)):
        verdict = world(renews, **SPOILED[term]).decide()
        assert (verdict.effect, verdict.code) == (Effect.DENY, code)


def test_a_policy_of_a_risk_level_is_about_tools_and_sessions_of_it_and_above() -> None:
    high = replace(STRICT, risk=Risk.HIGH)
    old = {"signed_in": rules.UNKNOWN}
    assert all(ask(world(high, **old)).allowed for ask in ASKS.values())
    for level in (Risk.HIGH, Risk.CRITICAL):
        risky = world(high, **old)
        key = ("time", "get_current_time")
        risky.facts.tools = {**risky.facts.tools, key: replace(risky.facts.tools[key], risk=level)}
        for name, ask in ASKS.items():
            assert ask(risky).code is Code.REAUTHENTICATION_DUE, name
        assert risky.seen() == {"get_current_time"}, "a tool that wants a sign-in is listed"
        for name, ask in ASKS.items():
            assert ask(world(high, risk=level, **old)).code is Code.REAUTHENTICATION_DUE, name
        assert world(high, risk=level, **old).seen() == set(), "nothing is, where the whole session wants one"


def test_a_token_lives_no_longer_than_the_terms_of_its_session() -> None:
    def lives(*policies: Policy, **session: object) -> float:
        issue = world(*policies, **session).issue().issue
        assert issue is not None
        return issue.expires - NOW

    long = {"idle": 3600.0, "absolute": 43_200.0}
    assert lives() == 300
    assert lives(Policy("a", max_age=630.0)) == 30
    assert lives(Policy("a", absolute=640.0)) == 40
    assert lives(Policy("a", **long)) == 300  # type: ignore[arg-type]


def test_what_was_met_once_is_asked_again_when_a_term_ends_and_of_what_the_session_is_by_then() -> None:
    made = world(Policy("a", idle=300.0))
    assert made.decide().allowed
    made.now = NOW + 240
    assert made.decide().code is Code.REAUTHENTICATION_DUE
    made = world(Policy("g"), Policy("a", Risk.HIGH, idle=300.0), last_used=NOW - 299)
    assert made.decide().allowed
    made.facts.sessions["run-1"] = replace(made.facts.sessions["run-1"], risk=Risk.HIGH, last_used=NOW - 300)
    assert made.decide().code is Code.REAUTHENTICATION_DUE, "the session was read again"


def test_a_sign_in_meets_a_context_of_each_policy() -> None:
    both = (Policy("a", acr=("loa3",)), Policy("b", acr=(MULTI_FACTOR,)))
    met_by_one = SignedIn(NOW, "loa3", frozenset())
    verdict = world(*both, signed_in=met_by_one).decide()
    assert verdict.code is Code.REAUTHENTICATION_DUE
    assert world(*both, signed_in=replace(met_by_one, amr=frozenset({"mfa"}))).decide().allowed


def test_an_agent_that_acts_for_no_one_has_no_sign_in_to_look_at() -> None:
    made = worlds.allowed(None)
    made.facts.session_terms = rules.levels([STRICT])
    made.call.session = made.issuance.session = None
    assert made.decide().allowed
    assert made.issue().allowed


def test_a_question_without_a_token_has_no_sign_in_that_would_be_enough() -> None:
    made = world(STRICT)
    made.call.token = made.call.session = None
    assert made.decide().code is Code.REAUTHENTICATION_DUE
    assert made.seen() == {"get_current_time"}, "what could be called after a sign-in"
    assert policy.reachable(made.call, made.facts, made.now).allowed
    assert policy.still_live(made.call, made.facts, made.now).allowed
    made.facts.session_terms = rules.levels([Policy("a", idle=300.0)])
    assert made.decide().allowed


POLICIES = st.builds(
    Policy,
    st.sampled_from("abc"),
    st.sampled_from(list(Risk)),
    st.floats(300, 3600),
    st.floats(3600, 43_200),
    st.one_of(st.just(math.inf), st.floats(300, 1e6)),
    st.sampled_from([(), (PASSWORD,), (MULTI_FACTOR,), (PHISHING_RESISTANT, "loa3")]),
    st.frozensets(st.sampled_from(["pwd", "otp", "mfa"])),
    st.booleans(),
)
SIGNED_IN = st.builds(
    SignedIn,
    st.one_of(st.just(-math.inf), st.floats(NOW - 1e6, NOW)),
    st.sampled_from(["", PASSWORD, MULTI_FACTOR, PHISHING_RESISTANT, "loa3"]),
    st.frozensets(st.sampled_from(["pwd", "otp", "mfa", "pop"])),
)


@given(st.lists(POLICIES, max_size=4), SIGNED_IN, st.floats(0, 43_200), st.floats(0, 3600), st.sampled_from(Risk))
def test_several_policies_are_met_by_what_meets_each_of_them(
    policies: list[Policy], signed_in: SignedIn, age: float, unused: float, level: Risk
) -> None:
    def falls_short(some: list[Policy]) -> bool:
        terms = rules.levels(some)[level.rank] if some else None
        return terms is not None and (
            rules.shortfall(terms, signed_in, NOW - max(age, unused), NOW - unused, NOW) is not None
        )

    assert falls_short(policies) == any(falls_short([each]) for each in policies)
    session = {"began": NOW - max(age, unused), "last_used": NOW - unused, "signed_in": signed_in, "risk": level}
    assert world(*policies, **session).decide().allowed is not falls_short(policies)


@given(st.lists(POLICIES, min_size=1, max_size=3), SIGNED_IN)
def test_who_comes_back_with_one_of_the_contexts_and_all_methods_is_asked_no_more(
    policies: list[Policy], signed_in: SignedIn
) -> None:
    terms = rules.combined(policies)
    assert terms is not None
    short = rules.of_sign_in(terms, signed_in, NOW)
    if short is None:
        return
    fresh = SignedIn(NOW, short.contexts[0] if short.contexts else "", terms.amr | signed_in.amr)
    again = rules.of_sign_in(terms, fresh, NOW)
    reachable = all(any(rules.covers(each, frozenset(), group) for each in terms.contexts[:1]) for group in terms.acr)
    assert again is None or not reachable


@pytest.mark.parametrize(
    ("seconds", "written"), [(0, "PT0S"), (300, "PT5M"), (3600, "PT1H"), (86_400, "P1D"), (90_061, "P1DT1H1M1S")]
)
def test_lengths_are_written_as_iso_8601_has_them(seconds: float, written: str) -> None:
    assert rules.length(seconds) == written
