"""What the record says of a call, byte for byte as the drafting of any other event would write it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import clock, context, draft, redaction
from audit.actions import Action
from audit.draft import TextDraft
from entitlements.codes import Code
from entitlements.decisions.snapshot import Token
from entitlements.decisions.verdicts import Effect, Reason, Verdict
from entitlements.definitions import primitives
from entitlements.node import records
from entitlements.node.bearer import Bearer
from entitlements.node.records import CallDetails
from entitlements.traces.call_trace import LINKABLE, CallTrace
from entitlements.traces.trace_context import TraceContext
from tests import seeds
from tests.audit.test_draft import AWKWARD, PRODUCER, texts

AT = datetime(2026, 11, 28, 9, 30, 1, 20, UTC)
plain = st.sampled_from(["crm", "bot", "get_time", "a b", "x" * 301]) | texts
named = plain.filter(bool)
ids = st.sampled_from(["grant-1", "0c9a1b1e-0000-4000-8000-000000000007"])
numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)


def traced(trace: str) -> CallTrace:
    return CallTrace(trace, "", "", TraceContext(trace, ""))


@st.composite
def calls(draw: st.DrawFn) -> CallDetails:
    token = Token(draw(ids), 0.0, 1.0, frozenset())
    bearer = Bearer(
        "https://gw.example/gw/crm/mcp",
        token,
        draw(st.just("") | named),
        draw(ids),
        draw(st.none() | named),
        draw(st.none() | plain),
    )
    about = CallDetails(
        bearer,
        draw(plain),
        draw(plain),
        draw(plain),
        draw(st.just("") | plain),
        draw(plain),
        traced=traced(draw(st.from_regex(r"[0-9a-f]{32}", fullmatch=True) | plain)),
    )
    if draw(st.booleans()):
        about.link("agent", draw(plain))
    return about


verdicts = st.builds(
    Verdict,
    st.sampled_from(Effect),
    st.sampled_from([Code.NO_GRANT, Code.CALL_WITHDRAWN]),
    st.lists(st.builds(Reason, st.just(Code.NO_GRANT), plain), max_size=10).map(tuple),
    grant=st.none() | ids,
    tool_version=st.none() | plain,
    measured=st.none() | st.dictionaries(named, numbers, max_size=3),
)
endings = st.dictionaries(st.sampled_from(["bytes", "milliseconds", "status"]), st.integers(0, 10**9)) | st.builds(
    lambda reason: {"reason": reason}, texts
)


@pytest.fixture(autouse=True, scope="module")
def at_one_moment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: AT)
        yield


def drafted(
    about: CallDetails,
    grant: str | None,
    what: tuple[Action, str, str],
    detail: Mapping[str, object],
    uuid: UUID,
) -> draft.Draft:
    """Draft the event of a call as events are drafted everywhere else."""
    bearer = about.bearer
    links = [f"client:{bearer.client}", f"token:{bearer.token.jti}"]
    if LINKABLE.fullmatch(about.system):
        links.append(f"system:{about.system}")
    if primitives.is_name(about.tool) and LINKABLE.fullmatch(f"{about.system}/{about.tool}"):
        links.append(f"tool:{about.system}/{about.tool}")
    links += [*about.named, *([f"grant:{grant}"] if grant else [])]
    action, outcome, code = what
    person = None if bearer.person is None else context.Principal("person", bearer.person)
    with context.acting(
        trace=about.trace,
        request_id=about.request_id,
        on_behalf_of=person,
        source=about.source,
        session=bearer.session or "",
    ):
        return draft.draft(
            action, by=bearer.principal, about=links, outcome=outcome, code=code, detail=detail, uuid=uuid
        )


def assert_same(made: TextDraft, expected: draft.Draft) -> None:
    assert made.body(PRODUCER, 3) == expected.body(PRODUCER, 3)
    assert (made.uuid, made.action, made.links, made.trace, made.moment) == (
        str(expected.uuid),
        expected.action,
        expected.links,
        expected.trace,
        expected.moment,
    )


@given(
    calls(),
    verdicts,
    st.dictionaries(plain, plain | numbers, max_size=3),
    st.none() | st.just(Action.EVALUATION_ALLOWED),
)
def test_a_decision(about: CallDetails, verdict: Verdict, arguments: dict[str, object], action: Action | None) -> None:
    compare_decision(about, verdict, arguments, action)


def compare_decision(about: CallDetails, verdict: Verdict, arguments: dict[str, object], action: Action | None) -> None:
    made = records.decision(about, verdict, arguments, action)
    is_allowed = verdict.effect is Effect.ALLOW
    detail: dict[str, object] = {"method": about.method, "arguments": redaction.digest(arguments)}
    if about.tool:
        detail["tool"] = about.tool
    if about.bearer.chain:
        detail["chain"] = [agent for agent, _ in about.bearer.chain]
        detail["chain_clients"] = [client for _, client in about.bearer.chain]
    if verdict.measured:
        detail["measured"] = verdict.measured
    if verdict.tool_version:
        detail["version"] = verdict.tool_version
    if not is_allowed:
        detail["effect"] = verdict.effect.value
        detail["reasons"] = [f"{reason.code}: {reason.sentence}" for reason in verdict.reasons[:8]]
    action = action or (Action.CALL_ALLOWED if is_allowed else Action.CALL_DENIED)
    what = (action, "success", "") if is_allowed else (action, "refused", verdict.code.value)
    assert_same(made, drafted(about, verdict.grant, what, detail, UUID(about.evaluation)))


def compare_ending(
    about: CallDetails, what: tuple[Action, str, str], detail: dict[str, int | str], evaluation: UUID
) -> None:
    about.evaluation = str(evaluation)
    made = records.ending(about, *what, detail)
    whole = {"evaluation": str(evaluation), **detail}
    assert_same(made, drafted(about, None, what, whole, uuid5(evaluation, "end")))


def test_calls_with_every_awkward_text_in_every_place() -> None:
    chance = seeds.chance()
    texts = [*AWKWARD, "crm", "bot", "get_time", "tools/call", "a b"]
    named = [text for text in texts if text]
    for _ in range(seeds.cases()):
        agent, person, session, system, method, tool, trace, request_id, source = chance.choices(texts, k=9)
        token = Token("t1", 0.0, 1.0, frozenset())
        bearer = Bearer("", token, agent, "c1", person or None, session or None)
        about = CallDetails(bearer, system, method, tool, request_id, source, traced=traced(trace))
        reason = Reason(Code.NO_GRANT, chance.choice(texts))
        verdict = Verdict(chance.choice([Effect.ALLOW, Effect.DENY]), Code.NO_GRANT, (reason,), grant="g1")
        verdict.tool_version = chance.choice([None, "v1", *named])
        verdict.measured = chance.choice([None, None, {chance.choice(named): chance.choice([1, 0.1, 1e21])}])
        compare_decision(about, verdict, {chance.choice(named): chance.choice(texts)}, None)
        sizes: dict[str, int | str] = {"bytes": chance.randrange(10**8), "milliseconds": chance.randrange(10**6)}
        ended: dict[str, int | str] = chance.choice([sizes, {"reason": chance.choice(texts)}])
        compare_ending(about, (Action.CALL_FINISHED, "success", chance.choice(texts)), ended, UUID(about.evaluation))


@given(calls(), plain)
def test_a_refusal(about: CallDetails, message: str) -> None:
    made = records.refusal(about, Code.MALFORMED_CALL, message)
    detail = {"method": about.method[:128], "reasons": [message]}
    what = (Action.CALL_DENIED, "refused", Code.MALFORMED_CALL.value)
    assert_same(made, drafted(about, None, what, detail, UUID(about.evaluation)))


@given(
    calls(),
    st.sampled_from([Action.CALL_FINISHED, Action.CALL_WITHDRAWN, Action.CALL_INDETERMINATE]),
    st.sampled_from(["success", "failure", "refused", "unknown"]),
    texts,
    endings,
    st.uuids(version=4),
)
def test_an_ending(
    about: CallDetails, action: Action, outcome: str, code: str, detail: dict[str, int | str], evaluation: UUID
) -> None:
    compare_ending(about, (action, outcome, code), detail, evaluation)


@pytest.mark.parametrize("tool", AWKWARD)
def test_an_awkward_name_of_a_tool_is_in_the_detail_and_no_link(tool: str) -> None:
    bearer = Bearer("", Token("t1", 0.0, 1.0, frozenset()), "bot", "c1", None, None)
    about = CallDetails(bearer, "crm", "tools/call", tool)
    made = records.decision(about, Verdict(Effect.ALLOW, Code.NO_GRANT, ()), {})
    is_name = primitives.is_name(tool)
    assert ([link for link in made.links if link.startswith("tool:")] != []) is is_name
