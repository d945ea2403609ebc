"""What leaves is about people and sessions, in the words of CAEP and RISC, and nothing else leaves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from audit.actions import Action
from entitlements.event_streams import profile
from entitlements.event_streams.profile import LoggedEvent

AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
SESSION = ["session:s-1", "agent:bot", "client:c", "person:alice"]
LEVELS = {"previous_level": "low", "subject_level": "high"}


def event(action: Action, about: list[str], actor: str = "system:mandate", **detail: object) -> LoggedEvent:
    return LoggedEvent(action, AT, actor, about, {"reason": "A word of a person", **detail})


@pytest.mark.parametrize(
    ("given", "kind", "login", "session"),
    [
        (event(Action.SESSION_ENDED, SESSION), profile.SESSION_REVOKED, "alice", "s-1"),
        (event(Action.SESSION_ENDED, SESSION[:3]), profile.SESSION_REVOKED, "", "s-1"),
        (event(Action.PERSON_PASSWORD_SET, ["person:alice"]), profile.CREDENTIAL_CHANGE, "alice", ""),
        (event(Action.PERSON_DISABLED, ["person:alice"]), profile.ACCOUNT_DISABLED, "alice", ""),
        (event(Action.PERSON_ENABLED, ["person:alice"]), profile.ACCOUNT_ENABLED, "alice", ""),
        (event(Action.SUBJECT_ERASED, ["person:alice"]), profile.ACCOUNT_PURGED, "alice", ""),
        (event(Action.RISK_SIGNALLED, ["risk:1", "person:alice"], **LEVELS), profile.RISK_LEVEL_CHANGE, "alice", ""),
        (event(Action.RISK_DISMISSED, ["risk:1", *SESSION], **LEVELS), profile.RISK_LEVEL_CHANGE, "alice", "s-1"),
    ],
)
def test_what_ends_or_changes_leaves(given: LoggedEvent, kind: str, login: str, session: str) -> None:
    found = profile.outgoing(given)
    assert found is not None
    assert (found.type, found.login, found.session) == (kind, login, session)
    assert "A word of a person" not in str(found.payload)
    if "/caep/" in kind:
        assert found.payload["event_timestamp"] == int(AT.timestamp())
        assert found.payload["reason_admin"]["en"]


@pytest.mark.parametrize(
    "given",
    [
        event(Action.CALL_DENIED, ["agent:bot"]),
        event(Action.SUBJECT_ERASED, ["agent:bot"]),
        event(Action.RISK_SIGNALLED, ["risk:1", "agent:bot"], **LEVELS),
        event(Action.RISK_SIGNALLED, ["risk:1", "person:alice"], previous_level="high", subject_level="high"),
        event(Action.RISK_SIGNALLED, ["risk:1", "person:alice"], subject_level="high"),  # of the release before
    ],
)
def test_the_rest_stays_here(given: LoggedEvent) -> None:
    assert profile.outgoing(given) is None


def test_who_began_it_is_said_without_a_name() -> None:
    for actor, word in (("person:alice", "user"), ("person:resa", "admin"), ("system:mandate", "system")):
        found = profile.outgoing(event(Action.SESSION_ENDED, SESSION, actor))
        assert found is not None
        assert found.payload["initiating_entity"] == word


def test_people_are_named_as_the_receiver_wants() -> None:
    by_login = {"format": "iss_sub", "iss": "https://i.example", "sub": "alice"}
    assert profile.subject("alice", "", "https://i.example") == by_login
    assert profile.subject("alice", "", "https://i.example", "a@x.example") == {
        "format": "email",
        "email": "a@x.example",
    }
    session = {"format": "complex", "session": {"format": "opaque", "id": "s-1"}}
    assert profile.subject("", "s-1", "https://i.example") == session
    assert profile.subject("alice", "s-1", "https://i.example") == {**session, "user": by_login}
