"""An event put together from parts has the bytes of one that is drafted, whatever its texts are."""

from __future__ import annotations

import bisect
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID, uuid5

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from audit import clock, context, draft, redaction
from audit.actions import Action
from audit.draft import LAST, MAX_BODY, BadEvent

AT = datetime(2026, 11, 28, 9, 30, 1, 20, UTC)
PRODUCER = UUID("00000000-0000-4000-8000-000000000001")
AWKWARD = (
    "",
    "ä",
    "\U0001f600",
    "\x00",
    "\ud800",
    "\udfff x",
    '"\\/\b\f\n\r\t\x1f\x7f\u2028',
    "eyJhbGci.eyJz.c2ln",
    "Bearer abcdefgh1234",
    "postgres://user:word@host/",
    "AKIA0123456789ABCDEF",
    "x" * 5000,
    "deadbeef-0000",
)
texts = (
    st.sampled_from(AWKWARD) | st.text(st.characters(), max_size=30) | st.from_regex(r"[0-9a-f]{32}", fullmatch=True)
)
names = texts.filter(bool)
linkable = st.from_regex(r"[a-z_]{1,8}:[^\x00-\x20\x7f]{1,40}", fullmatch=True).filter(lambda link: link[0] != "_")
numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
details = st.dictionaries(texts, st.none() | numbers | texts | st.lists(texts, max_size=3), max_size=4)
ids = st.uuids(version=4)


@pytest.fixture(autouse=True, scope="module")
def at_one_moment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: AT)
        yield


@given(
    st.sampled_from(["agent", "client"]),
    names,
    st.none() | names,
    texts,
    st.lists(linkable, max_size=4),
    st.sampled_from(Action),
    st.sampled_from(["success", "failure", "refused", "unknown"]),
    texts,
    details,
    ids,
    texts,
    texts,
    texts,
)
def test_it_has_the_bytes_and_the_row_of_a_draft(  # noqa: PLR0913, PLR0917 - everything that an event can say
    kind: context.Kind,
    name: str,
    person: str | None,
    session: str,
    about: list[str],
    action: Action,
    outcome: str,
    code: str,
    detail: dict[str, object],
    uuid: UUID,
    trace: str,
    request_id: str,
    source: str,
) -> None:
    by, whom = context.Principal(kind, name), None if person is None else context.Principal("person", person)
    with context.acting(trace=trace, request_id=request_id, on_behalf_of=whom, source=source, session=session):
        expected = draft.draft(action, by=by, about=about, outcome=outcome, code=code, detail=detail, uuid=uuid)
    made = draft.event(
        draft.shared(str(by), person, session, tuple(about)),
        (action, outcome, code),
        draft.canonical(detail),
        uuid=str(uuid),
        trace=trace,
        request_id=request_id,
        source=source,
    )
    assert made.body(PRODUCER, 17) == expected.body(PRODUCER, 17)
    assert (made.moment, made.uuid, made.action) == (expected.moment, str(expected.uuid), expected.action)
    assert (made.links, made.trace) == (expected.links, expected.trace)


@given(st.text(max_size=120))
@example("deadbeef" * 12)
@example("AKIA0123456789ABCDEF")
def test_what_is_called_harmless_is_left_as_it_is_and_needs_no_escape(text: str) -> None:
    if draft._HARMLESS.fullmatch(text):
        assert redaction.text(text) == text
        assert draft.json(text) == f'"{text}"'


def test_no_hint_of_a_secret_is_spelled_with_harmless_characters() -> None:
    assert not [hint for hint in redaction._HINTS if draft._HARMLESS.fullmatch(hint)]


def test_a_malformed_link_is_refused_as_a_draft_refuses_it() -> None:
    with pytest.raises(BadEvent):
        draft.shared("agent:bot", None, "", ("no link",))


@pytest.mark.parametrize("filler", ["x", "ä", "\u0001", "\U0001f600"])
def test_an_event_is_too_large_exactly_where_a_draft_is(filler: str) -> None:
    def fits(make: object, count: int) -> bool:
        detail = {"filler": [filler * 500] * count}
        try:
            if make is draft.draft:
                draft.draft(Action.REFUSED, by=context.SYSTEM, detail=detail).check_size()
            else:
                common = draft.Shared('"system:mandate"', "null", '""', "[]", [])
                what = (Action.REFUSED, "success", "")
                text = draft.canonical(detail)
                uuid = draft.new_uuid()
                draft.event(common, what, text, uuid=uuid, trace="", request_id="", source="").check_size()
        except BadEvent:
            return False
        return True

    most = bisect.bisect_left(range(1, 200), 1, key=lambda count: int(not fits(draft.draft, count)))
    assert 1 < most < 199
    assert [fits(draft.event, most), fits(draft.event, most + 1)] == [True, False]


def test_the_longest_number_and_producer_are_counted() -> None:
    common = draft.Shared('"system:mandate"', "null", '""', "[]", [])
    what, uuid = (Action.REFUSED, "success", ""), draft.new_uuid()

    def event(size: int) -> draft.TextDraft:
        return draft.event(common, what, f'"{"x" * size}"', uuid=uuid, trace="", request_id="", source="")

    over = MAX_BODY - len(event(0).body(*LAST))
    event(over).check_size()
    with pytest.raises(BadEvent):
        event(over + 1).check_size()


def test_a_new_uuid_is_random_and_of_version_4() -> None:
    made = [draft.new_uuid() for _ in range(200)]
    assert len(set(made)) == 200
    for text in made:
        assert str(UUID(text)) == text
        assert UUID(text).version == 4
        assert UUID(text).variant == "specified in RFC 4122"


@given(ids, st.binary(max_size=20))
def test_a_uuid_that_follows_is_that_of_the_standard(namespace: UUID, name: bytes) -> None:
    assert draft.following_uuid(str(namespace), name) == str(uuid5(namespace, name))


def test_a_random_uuid_takes_all_its_bits_but_six_from_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    for byte in (0x00, 0xFF):
        monkeypatch.setattr(os, "urandom", lambda size, byte=byte: bytes([byte]) * size)
        assert draft.new_uuid() == str(UUID(bytes=bytes([byte]) * 16, version=4))
