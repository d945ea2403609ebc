"""Our transmitter and receiver over HTTP; section numbers are those of the CAEP Interoperability Profile 1.0."""

# ruff: noqa: ANN401 - bodies are any JSON

from __future__ import annotations

import time
from itertools import count
from typing import Any

import httpx2
import pytest
from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM
from audit.models import Cursor
from entitlements import addresses
from entitlements.event_streams import deliver, poll_settings, polls, profile, streams, transmit
from entitlements.event_streams.models import EventReceiver, EventStream, SignalPoll, StreamEvent
from entitlements.keys import signing
from entitlements.people import people
from entitlements.risk import follow
from entitlements.risk.models import RiskSignal, SecurityEvent
from tests import make
from tests.entitlements.edge.worlds import STUB, header, peek
from tests.entitlements.event_streams import refused
from tests.entitlements.risk import worlds as risk_worlds
from tests.nodes.event_streams import worlds
from tests.nodes.event_streams.worlds import AUDIENCE, Pair

pytestmark = pytest.mark.timeout(600)
VERIFICATION = "https://schemas.openid.net/secevent/ssf/event-type/verification"
_AGO = count(1000, 1000)  # seconds since each sign-in of these tests, of which none is like another
UPDATED = "https://schemas.openid.net/secevent/ssf/event-type/stream-updated"


def test_the_configuration_is_where_the_framework_says_and_names_every_address(pair: Pair) -> None:
    found = pair.web.get("/.well-known/ssf-configuration/ssf")
    assert (found.status_code, found.headers["content-type"]) == (200, "application/json")
    document = found.json()
    assert document["spec_version"] == "1_0"  # 2.3.1
    assert document["issuer"] == f"{str(pair.web.base_url).rstrip('/')}/ssf"
    assert {*document["delivery_methods_supported"]} == {"urn:ietf:rfc:8935", "urn:ietf:rfc:8936"}  # 2.3.2
    assert document["authorization_schemes"] == [{"spec_urn": "urn:ietf:rfc:6749"}]  # 2.3.7
    assert document["default_subjects"] == "ALL"
    for name in ("jwks_uri", "configuration_endpoint", "status_endpoint", "verification_endpoint"):  # 2.3.3 to 2.3.6
        assert document[name].startswith(document["issuer"])
    keys = httpx2.get(document["jwks_uri"]).json()["keys"]
    assert [key["alg"] for key in keys] == ["RS256"]  # 2.6
    scopes = pair.web.get("/.well-known/oauth-protected-resource/ssf").json()["scopes_supported"]
    assert {*scopes} == {"ssf.manage", "ssf.read"}  # 2.7.3
    server = pair.web.get("/.well-known/oauth-authorization-server/ssf").json()
    assert "client_credentials" in server["grant_types_supported"]  # 2.7.1


def test_tokens_are_short_and_carry_scopes_and_nothing_else_opens_a_stream(pair: Pair) -> None:
    given = pair.token("ssf.read").json()
    assert (given["scope"], given["token_type"], given["expires_in"] <= 3600) == ("ssf.read", "Bearer", True)
    assert pair.token(secret="another-secret").json()["error"] == "invalid_client"
    assert pair.token("ssf.all").json()["error"] == "invalid_scope"
    assert pair.web.post("/ssf/token", data={"grant_type": "password"}).json()["error"] == "unsupported_grant_type"
    created = pair.ask("POST", "streams", {}, scope="ssf.read")
    assert (created.status_code, created.json()["error"]) == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in created.headers["www-authenticate"]
    assert pair.ask("GET", "streams", scope="ssf.read").json() == []
    token = given["access_token"]
    for headers in ({}, {"Authorization": "Bearer nothing"}, {"Authorization": f"Basic {token}"}):
        assert pair.web.get("/ssf/streams", headers=headers).status_code == 401
    assert pair.web.get(f"/ssf/streams?access_token={token}").status_code == 401  # 2.7.4: never in the query
    ours = signing.sign("idp", {"iss": addresses.issuer("idp"), "exp": int(time.time()) + 60}, "at+jwt")
    assert pair.web.get("/ssf/streams", headers={"Authorization": f"Bearer {ours}"}).status_code == 401


def test_a_stream_is_created_read_changed_replaced_and_deleted(pair: Pair) -> None:
    made = pair.push_stream(description="theirs", events_requested=[profile.SESSION_REVOKED, "urn:unknown"])
    assert (made["aud"], made["iss"]) == (AUDIENCE, pair.web.get("/.well-known/ssf-configuration/ssf").json()["issuer"])
    assert made["events_delivered"] == [profile.SESSION_REVOKED]
    key = made["stream_id"]
    assert pair.ask("GET", f"streams?stream_id={key}").json() == made == pair.ask("GET", "streams").json()[0]
    changed = pair.ask("PATCH", "streams", {"stream_id": key, "events_requested": [profile.ACCOUNT_DISABLED]}).json()
    assert (changed["events_delivered"], changed["description"]) == ([profile.ACCOUNT_DISABLED], "theirs")
    others: list[dict[str, Any]] = [
        {"aud": "https://x.example"},
        {"events_delivered": []},
        {"iss": "https://x.example"},
    ]
    for wrong in others:
        assert pair.ask("PATCH", "streams", {"stream_id": key, **wrong}).status_code == 400
    replaced = pair.ask("PUT", "streams", {"stream_id": key, "events_requested": [*profile.SUPPORTED]}).json()
    assert "description" not in replaced, "what is missing is deleted"
    assert replaced["delivery"]["method"] == "urn:ietf:rfc:8936", "without one it polls"
    assert replaced["delivery"]["endpoint_url"].endswith(f"/ssf/streams/{key}/poll")
    assert pair.ask("DELETE", f"streams?stream_id={key}").status_code == 204
    for method, path, body in (
        ("GET", f"streams?stream_id={key}", None),
        ("GET", f"status?stream_id={key}", None),
        ("POST", "status", {"stream_id": key, "status": "paused"}),
        ("POST", "verify", {"stream_id": key}),
        ("PATCH", "streams", {"stream_id": key}),
        ("DELETE", f"streams?stream_id={key}", None),
    ):
        assert pair.ask(method, path, body).status_code == 404, (method, path)
    malformed: list[Any] = [[], {"delivery": {"method": "urn:x"}}, {"events_requested": "all"}, {"description": 7}]
    for said in malformed:
        assert pair.ask("POST", "streams", said).status_code == 400


def test_events_go_only_to_the_host_that_a_person_named(pair: Pair) -> None:
    for url in ("https://else.example/events", "http://169.254.169.254/latest", "https://127.0.0.1/", "ftp://x/"):
        delivery = {"method": streams.PUSH, "endpoint_url": url}
        answer = pair.ask("POST", "streams", {"delivery": delivery})
        assert (answer.status_code, answer.json()["code"]) == (400, "event_stream_malformed"), url
    assert not EventStream.objects.exists()


def test_a_verification_goes_the_whole_way_and_not_too_often(pair: Pair) -> None:
    key = pair.push_stream()["stream_id"]
    before = SecurityEvent.objects.count()
    assert pair.ask("POST", "verify", {"stream_id": key, "state": "abc"}).status_code == 204
    assert pair.ask("POST", "verify", {"stream_id": key}).status_code == 429
    pair.transmit()
    row = SecurityEvent.objects.latest("pk")
    assert SecurityEvent.objects.count() == before + 1
    assert row.claims["events"] == {VERIFICATION: {"state": "abc"}}
    assert row.claims["sub_id"] == {"format": "opaque", "id": key}
    follow.follow_waiting()
    row.refresh_from_db()
    assert row.outcome == SecurityEvent.Outcome.VERIFIED


def test_what_happens_here_is_pushed_and_becomes_a_signal_there(pair: Pair) -> None:
    """4.1 and 4.2: what ends here is told with a reason for administrators, and our receiver knows whom it is about."""
    pair.push_stream()
    _begin_session(pair)
    _end_session()
    _password()
    pair.transmit()
    follow.follow_waiting()
    rows = StreamEvent.objects.filter(state="taken")
    assert {*rows.values_list("type", flat=True)} == {profile.SESSION_REVOKED, profile.CREDENTIAL_CHANGE}
    for row in rows:
        assert row.claims["events"][row.type]["reason_admin"]["en"]
        assert row.claims["txn"] == row.jti
    kinds = RiskSignal.objects.filter(source__endswith="/ssf").values_list("kind", flat=True)
    assert {*kinds} == {"session_revoked", "credential_change"}


def _begin_session(pair: Pair) -> None:
    """Begin a session of a sign-in of its own: one that was ended does not begin anew."""
    signed_in = int(time.time()) - next(_AGO)
    pair.company.id_jag(subject_token=pair.company.id_token(auth_time=signed_in))


def _end_session() -> str:
    from entitlements.sessions import sessions  # noqa: PLC0415 - the settings are known only now
    from entitlements.sessions.models import Session  # noqa: PLC0415 - as above

    row = Session.objects.filter(ended_at=None).latest("started_at")
    sessions.end(row.pk, by=SYSTEM, reason="A secret reason of ours.")
    return str(row.pk)


def test_a_token_is_as_the_profile_asks_and_holds_nothing_that_a_person_wrote(pair: Pair) -> None:
    key = pair.stream()["stream_id"]
    _begin_session(pair)
    session = _end_session()
    pair.transmit()
    sets = _poll(pair, key)["sets"]
    [(jti, text)] = [each for each in sets.items() if profile.SESSION_REVOKED in peek(each[1])["events"]]
    claims = peek(text)
    assert (header(text)["typ"], header(text)["alg"]) == ("secevent+jwt", "RS256")
    assert not {"sub", "exp"} & claims.keys()
    assert (claims["jti"], claims["aud"], len(claims["events"])) == (jti, AUDIENCE, 1)
    user = {"format": "iss_sub", "iss": f"{claims['iss'].removesuffix('/ssf')}/idp", "sub": "alice"}
    assert claims["sub_id"] == {"format": "complex", "session": {"format": "opaque", "id": session}, "user": user}
    assert "A secret reason" not in str(claims)


def _poll(pair: Pair, key: str, **body: Any) -> dict[str, Any]:
    answer = pair.ask("POST", f"streams/{key}/poll", {"returnImmediately": True, **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_an_event_has_one_jti_however_often_the_log_is_read_and_the_token_sent(pair: Pair) -> None:
    pair.transmit()  # what happened before
    key = pair.stream()["stream_id"]
    position = Cursor.objects.get(name=transmit.CURSOR).position
    _password()
    pair.transmit()
    first = _poll(pair, key)["sets"]
    Cursor.objects.filter(name=transmit.CURSOR).update(position=position)  # as after a crash, or a restored backup
    pair.transmit()
    assert _poll(pair, key)["sets"].keys() == first.keys()
    [jti] = first
    assert _poll(pair, key, ack=[jti]) == {"sets": {}}
    Cursor.objects.filter(name=transmit.CURSOR).update(position=position)
    pair.transmit()
    assert _poll(pair, key) == {"sets": {}}, "what was taken does not come again"


def test_a_poll_takes_as_many_as_it_asks_for_and_says_whether_there_are_more(pair: Pair) -> None:
    key = pair.stream()["stream_id"]
    with transaction.atomic():
        log.record_many(Action.PERSON_PASSWORD_SET, [log.Row(about=["person:alice"])] * 3, by=SYSTEM)
    pair.transmit()
    first = _poll(pair, key, maxEvents=2)
    assert (len(first["sets"]), first["moreAvailable"]) == (2, True)
    one, other = first["sets"]
    refused = {other: {"err": "invalid_state", "description": "x"}}
    second = _poll(pair, key, maxEvents=2, ack=[one], setErrs=refused)
    assert len(second["sets"]) == 1
    assert "moreAvailable" not in second
    assert _poll(pair, key, maxEvents=0, ack=[*second["sets"]]) == {"sets": {}}
    assert sorted(StreamEvent.objects.values_list("state", "answer")) == [
        ("refused", "invalid_state"),
        ("taken", "ack"),
        ("taken", "ack"),
    ]
    malformed: list[dict[str, Any]] = [
        *({"ack": "all"}, {"maxEvents": -1}, {"setErrs": {"x": {}}}, {"returnImmediately": 1}),
    ]
    for wrong in malformed:
        answer = pair.ask("POST", f"streams/{key}/poll", wrong)
        assert answer.status_code == 400, wrong


def test_a_paused_stream_holds_and_a_disabled_one_drops(pair: Pair) -> None:
    key = pair.stream()["stream_id"]
    assert pair.ask("GET", f"status?stream_id={key}").json() == {"stream_id": key, "status": "enabled"}
    paused = {"stream_id": key, "status": "paused", "reason": "Maintenance."}
    assert pair.ask("POST", "status", paused).json() == paused == pair.ask("GET", f"status?stream_id={key}").json()
    _password()
    pair.transmit()
    assert _poll(pair, key) == {"sets": {}}
    pair.ask("POST", "status", {"stream_id": key, "status": "enabled"})
    assert len(_poll(pair, key)["sets"]) == 1, "it was held"
    pair.ask("POST", "status", {"stream_id": key, "status": "disabled"})
    pair.ask("POST", "status", {"stream_id": key, "status": "enabled"})
    assert _poll(pair, key) == {"sets": {}}, "it was dropped"
    pair.ask("POST", "status", {"stream_id": key, "status": "disabled"})
    assert pair.ask("POST", "verify", {"stream_id": key}).status_code == 400
    assert pair.ask("POST", "status", {"stream_id": key, "status": "off"}).status_code == 400


def test_what_a_person_does_to_a_stream_is_told_to_its_receiver(pair: Pair) -> None:
    key = pair.push_stream()["stream_id"]
    streams.set_status_by_person(EventStream.objects.get().pk, status="paused", by=make.person(), reason="An attack.")
    pair.transmit()
    row = SecurityEvent.objects.latest("pk")
    assert row.claims["sub_id"]["id"] == key
    assert row.claims["events"][UPDATED] == {"status": "paused", "reason": "An administrator set it."}
    assert pair.ask("GET", f"status?stream_id={key}").json()["status"] == "paused"


def test_our_receiver_polls_our_transmitter_and_answers_what_it_took_and_refused(pair: Pair) -> None:
    made = pair.stream()
    worlds.follow(pair, made)
    with transaction.atomic():
        log.record(Action.PERSON_PASSWORD_SET, about=["person:alice"], by=SYSTEM)
        log.record(
            Action.PERSON_ENABLED, about=["person:alice"], by=SYSTEM
        )  # of a type that our receiver does not take
    pair.transmit()
    before = SecurityEvent.objects.count()
    assert polls.poll_next()
    assert SecurityEvent.objects.count() == before + 1
    assert sorted(StreamEvent.objects.values_list("type", "state", "answer")) == [
        (profile.CREDENTIAL_CHANGE, "taken", "ack"),
        (profile.ACCOUNT_ENABLED, "refused", "access_denied"),
    ]
    row = SignalPoll.objects.get(ended_at=None)
    assert (row.problem, row.to_answer, row.polled_at is not None) == ("", {}, True)
    assert not polls.poll_next(), "the next poll is seconds away"


def test_an_event_that_was_written_before_the_worker_died_is_taken_once_and_acknowledged_then(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    worlds.follow(pair, pair.stream())
    _password()
    pair.transmit()
    before = SecurityEvent.objects.count()
    write = polls._write

    def write_and_die(*given: Any) -> None:
        write(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(polls, "_write", write_and_die)
        with pytest.raises(KeyboardInterrupt):
            polls.poll_next()
    assert StreamEvent.objects.get().state == "waiting", "no word before the next poll"
    SignalPoll.objects.filter(ended_at=None).update(next_at=SignalPoll.objects.get(ended_at=None).made_at)
    assert polls.poll_next()
    assert StreamEvent.objects.get().state == "taken"
    assert SecurityEvent.objects.count() == before + 1


def test_a_wrong_secret_and_an_issuer_that_is_trusted_no_more_stop_the_poll(pair: Pair) -> None:
    made = pair.stream()
    row = worlds.follow(pair, made, secret="not-the-secret")
    assert polls.poll_next()
    row.refresh_from_db()
    assert (row.failures, bool(row.problem)) == (1, True)
    assert row.next_at > row.made_at
    worlds.trust_ours(enabled=False)
    SignalPoll.objects.filter(pk=row.pk).update(next_at=row.made_at)
    assert polls.poll_next()
    row.refresh_from_db()
    assert row.problem == "Security events of this issuer are not taken any more."
    worlds.trust_ours(enabled=True)


def test_a_receiver_that_ended_opens_nothing_from_then_on(pair: Pair) -> None:
    from entitlements.event_streams import receivers  # noqa: PLC0415 - the settings are known only now

    host = pair.registered.receiver.push_host
    by = make.person(roles=["admin"])
    other = receivers.register(
        "other", audience="https://o.example", push_host=host, subject_format="email", by=by, reason="Trial."
    )
    theirs = Pair(pair.company, pair.web, pair.node, other, pair.archive)
    headers = theirs.headers()
    key = theirs.push_stream()["stream_id"]
    assert pair.ask("GET", f"streams?stream_id={key}").status_code == 404, "a stream is its receiver's alone"
    receivers.end(other.receiver.pk, by=by, reason="Over.")
    assert pair.web.get("/ssf/streams", headers=headers).status_code == 401
    assert theirs.token().status_code == 401
    assert not EventStream.objects.exists()


def test_the_signal_is_there_after_one_turn_of_the_worker(pair: Pair) -> None:
    pair.push_stream()
    people.disable(make.person("zoe"), by=SYSTEM, reason="Left.")
    pair.transmit()
    assert StreamEvent.objects.filter(type=profile.ACCOUNT_DISABLED, state="taken").count() == 1


def test_what_is_wrong_is_refused_at_both_doors_with_the_same_word(pair: Pair) -> None:
    """Replayed, wrong audience, wrong issuer, unsigned, unknown-critical and old-format events."""
    risk_worlds.stream(pair.company)
    cases, before = refused.cases(pair.company), SecurityEvent.objects.count()
    for name, (text, word) in cases.items():
        answer = httpx2.post(f"{pair.node}/ssf/events", content=text, headers={"content-type": risk_worlds.TYPE})
        assert (answer.status_code, answer.json()["err"]) == (400, word), name
    good = risk_worlds.token(pair.company)
    with refused.transmitter() as theirs:
        theirs.sets = {name: text for name, (text, _) in cases.items()} | {peek(good)["jti"]: good, "another": good}
        row = poll_settings.set_poll(
            STUB, endpoint_url=theirs.url, secret="the-token-of-theirs", by=make.person(), reason="They cannot push."
        )
        assert polls.poll_next()
        row.refresh_from_db()
        assert (row.problem, theirs.sets) == ("", {})
        words = {name: word for name, (_, word) in cases.items()}
        assert theirs.refused == {**words, "another": "invalid_request"}, "its jti is another than the stream says"
    assert SecurityEvent.objects.count() == before + 1
    for _ in range(2):  # replayed, and by the other door
        again = httpx2.post(f"{pair.node}/ssf/events", content=good, headers={"content-type": risk_worlds.TYPE})
        assert again.status_code == 202
    assert SecurityEvent.objects.count() == before + 1


def test_a_receiver_that_fails_is_tried_later_and_one_that_refuses_is_not(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = pair.push_stream(events_requested=[profile.CREDENTIAL_CHANGE])["stream_id"]
    with monkeypatch.context() as silent:
        silent.setattr(deliver, "SECONDS", 0.001)
        _password()
        pair.transmit()
    stream, row = EventStream.objects.get(), StreamEvent.objects.get()
    assert (row.state, row.attempts, stream.failures, bool(stream.problem)) == ("waiting", 1, 1, True)
    assert not deliver.deliver_next(), "its time has not come"
    EventStream.objects.update(retry_at=stream.created_at)
    EventReceiver.objects.update(audience="https://another.example")
    deliver.deliver_next()
    EventReceiver.objects.update(audience=AUDIENCE)
    row.refresh_from_db()
    stream.refresh_from_db()
    assert (row.state, row.answer, stream.failures) == ("refused", "invalid_audience", 0)
    stream.failures, stream.failing_since = 9, clock.now() - deliver.GIVEN_UP
    stream.endpoint_url = "http://127.0.0.1:1/ssf/events"
    stream.save()
    _password()
    pair.transmit()
    assert pair.ask("GET", f"status?stream_id={key}").json()["status"] == "paused"
    assert StreamEvent.objects.filter(type=UPDATED, state="waiting").exists(), "it is told when it is back"


def _password() -> None:
    with transaction.atomic():
        log.record(Action.PERSON_PASSWORD_SET, about=["person:alice"], by=SYSTEM)
