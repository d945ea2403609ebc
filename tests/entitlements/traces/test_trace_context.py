"""W3C Trace Context: the rules of the specification, as its own test suite tries them."""

from __future__ import annotations

import pytest

from entitlements.traces import trace_context
from entitlements.traces.trace_context import TraceContext

TRACE, SPAN = "12345678901234567890123456789012", "1234567890123456"
GOOD = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    "traceparent",
    [
        f"00-{TRACE}-{SPAN}",  # no flags
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-what",  # version 00 has four parts
        f"00-{TRACE}-{SPAN}-01.what",
        f"cc-{TRACE}-{SPAN}-01.what",  # a later version goes on after a dash
        f"ff-{TRACE}-{SPAN}-01",
        f"0.-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}.-{SPAN}-01",
        f"00-{TRACE}-{SPAN[:-1]}.-01",
        f"00-{TRACE}-{SPAN}-.0",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}0-{SPAN}-01",
        f"00-{TRACE[:-1]}A-{SPAN}-01",  # lower case only
        f"00-{TRACE}-{SPAN[:-1]}B-01",
        f"00_{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-0\u0661",  # no digit of ASCII
        "",
        "junk",
    ],
)
def test_a_traceparent_that_breaks_a_rule_is_ignored_and_the_tracestate_with_it(traceparent: str) -> None:
    assert trace_context.read([traceparent], ["foo=1"]) is None


@pytest.mark.parametrize("traceparent", [GOOD, f" {GOOD}\t", f"cc-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what"])
def test_a_valid_one_is_read_and_written_in_our_version(traceparent: str) -> None:
    assert trace_context.read([traceparent]) == TraceContext(TRACE, SPAN)
    assert TraceContext(TRACE, SPAN).traceparent == GOOD


def test_a_header_that_came_twice_is_ignored() -> None:
    assert trace_context.read([GOOD, GOOD]) is None
    assert trace_context.read([]) is None


@pytest.mark.parametrize(
    ("flags", "sampled", "known"), [("00", False, 0), ("01", True, 1), ("02", False, 2), ("ff", True, 3)]
)
def test_flags_that_are_not_known_do_not_go_on(flags: str, sampled: bool, known: int) -> None:  # noqa: FBT001
    found = trace_context.read([f"00-{TRACE}-{SPAN}-{flags}"])
    assert found is not None
    assert (found.is_sampled, found.flags) == (sampled, known)


@pytest.mark.parametrize(
    ("states", "onward"),
    [
        (["foo=1"], "foo=1"),
        (["foo=1,bar=2"], "foo=1,bar=2"),
        (["foo=1", "bar=2"], "foo=1,bar=2"),  # several headers are one list
        (["foo=1 \t , \t bar=2", ""], "foo=1,bar=2"),
        (["foo=1,,bar=2,"], "foo=1,bar=2"),
        (["t@v=1,0a*/-_=2"], "t@v=1,0a*/-_=2"),
        ([f"{'z' * 256}=1"], f"{'z' * 256}=1"),
        ([f"{'t' * 241}@{'v' * 14}=1"], f"{'t' * 241}@{'v' * 14}=1"),
        ([f"foo={'v' * 256}"], f"foo={'v' * 256}"),
        (["foo= 1"], "foo= 1"),
    ],
)
def test_a_tracestate_goes_on(states: list[str], onward: str) -> None:
    assert trace_context.state_of(states) == onward


@pytest.mark.parametrize(
    "state",
    [
        "foo=1,foo=2",
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "foo@=1,bar=2",
        "@foo=1",
        "foo@@bar=1",
        "foo@bar@baz=1",
        "foo=1=2",
        "foo=",
        "foo",
        f"{'z' * 257}=1",
        f"{'t' * 242}@v=1",
        f"t@{'v' * 15}=1",
        f"foo={'v' * 257}",
        "foo=\u00e9",
        ",".join(f"bar{n}=1" for n in range(33)),
    ],
)
def test_a_tracestate_that_breaks_a_rule_is_ignored_alone(state: str) -> None:
    found = trace_context.read([GOOD], [state])
    assert found == TraceContext(TRACE, SPAN)


def test_a_tracestate_that_is_too_long_loses_long_members_first_and_then_the_last() -> None:
    long, short = f"long={'v' * 130}", [f"k{n}={'v' * 90}" for n in range(6)]
    assert trace_context.state_of([",".join([long, *short])]) == ",".join(short[:5])
    assert trace_context.state_of([",".join(f"bar{n:02}=1" for n in range(32))]).count(",") == 31


def test_the_meta_of_a_message_comes_before_its_headers() -> None:
    inside, outside = "a" * 32, "b" * 32
    header = [f"00-{outside}-{SPAN}-01"]
    meta = {"traceparent": f"00-{inside}-{SPAN}-00", "tracestate": "in=1"}
    assert trace_context.of_message(meta, header, ["out=1"]) == TraceContext(inside, SPAN, 0, "in=1")
    found = trace_context.of_message({"traceparent": "junk", "tracestate": "in=1"}, header, ["out=1"])
    assert found == TraceContext(outside, SPAN, 1, "out=1")
    assert trace_context.of_message({"traceparent": 5}, []) is None
    assert trace_context.of_message(None, []) is None


def test_what_goes_on_is_ours_and_a_baggage_only_with_the_form_of_one() -> None:
    here = TraceContext(TRACE, SPAN, state="foo=1")
    given = {"traceparent": "junk", "tracestate": "old=1", "baggage": "user=1;p,region=eu", "progressToken": 7}
    assert here.meta(given) == {
        "traceparent": GOOD,
        "tracestate": "foo=1",
        "baggage": "user=1;p,region=eu",
        "progressToken": 7,
    }
    assert here.headers() == {"Traceparent": GOOD, "Tracestate": "foo=1"}
    assert TraceContext(TRACE, SPAN).headers() == {"Traceparent": GOOD}
    for baggage in ("no equals", "a=\u00e9", "a=1,,b=2", f"a={'v' * 8200}", 5, ",".join(f"k{n}=1" for n in range(65))):
        assert "baggage" not in here.meta({"baggage": baggage})


def test_new_ids_are_never_zeros_alone() -> None:
    assert trace_context.is_trace(trace_context.new_trace())
    assert not trace_context.is_trace("0" * 32)
    assert not trace_context.is_trace(None)
    assert len(trace_context.new_span()) == 16
    assert trace_context.root_span(f"{'a' * 16}{'b' * 16}") == "b" * 16
    assert trace_context.root_span(f"{'a' * 16}{'0' * 16}") == "a" * 16
