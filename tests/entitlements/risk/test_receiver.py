"""Security events are taken as RFC 8417, RFC 8935 and the Shared Signals Framework 1.0 say, and nothing else is."""

# ruff: noqa: ANN401 - claims are any JSON

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from joserfc import jws as jose

from audit.models import StrangerCount
from entitlements.keys import jws
from entitlements.risk import follow
from entitlements.risk.models import RiskSignal, SecurityEvent
from entitlements.trusted_issuers import key_sets
from tests.entitlements.edge.worlds import PARTNER, World, new_key
from tests.entitlements.risk.worlds import ALICE, AUDIENCE, CAEP, RISC, claims, push, stream, token

NOW = int(time.time())
REVOKED = f"{CAEP}session-revoked"
VERIFICATION = "https://schemas.openid.net/secevent/ssf/event-type/verification"
STREAM = {"format": "opaque", "id": "stream-1"}


def test_an_event_is_taken_durably_and_followed_once(world: World) -> None:
    body = token(world)
    assert push(body) == (202, {})
    assert [row.followed_at for row in SecurityEvent.objects.all()] == [None]
    assert not RiskSignal.objects.exists(), "what it means follows later"
    assert follow.follow_waiting() == 1
    row = SecurityEvent.objects.get()
    assert (row.outcome, row.followed_at is not None) == ("signalled", True)
    assert RiskSignal.objects.get().person == world.alice
    assert push(body) == (202, {}), "a transmitter that heard no answer sends it again"
    assert follow.follow_waiting() == 0
    assert (SecurityEvent.objects.count(), RiskSignal.objects.count()) == (1, 1)


def test_what_the_profile_names_is_understood(world: World) -> None:
    payloads: dict[str, Any] = {
        f"{CAEP}session-revoked": {"reason_admin": {"en": "policy"}, "event_timestamp": NOW - 5},
        f"{CAEP}credential-change": {"credential_type": "fido2-roaming", "change_type": "create"},
        f"{CAEP}assurance-level-change": {"namespace": "NIST-AAL", "current_level": "nist-aal1"},
        f"{CAEP}device-compliance-change": {"previous_status": "compliant", "current_status": "not-compliant"},
        f"{CAEP}token-claims-change": {"claims": {"role": "user"}},
        f"{CAEP}risk-level-change": {"principal": "USER", "current_level": "MEDIUM"},
        f"{RISC}account-disabled": {"reason": "hijacking"},
        f"{RISC}account-purged": {},
        f"{RISC}credential-compromise": {"credential_type": "password"},
        VERIFICATION: {"state": "abc"},
    }
    for event, payload in payloads.items():
        assert push(token(world, claims(event, payload=payload))) == (202, {}), event
    assert follow.follow_waiting() == len(payloads)
    assert SecurityEvent.objects.filter(outcome="signalled").count() == len(payloads) - 1
    assert len({*RiskSignal.objects.values_list("kind", flat=True)}) == len(payloads) - 1


def test_each_format_of_a_subject_finds_whom_it_names(world: World) -> None:
    session = _session(world)
    mail = {"format": "email", "email": world.alice.email.upper()}
    complex_subject = {"format": "complex", "user": ALICE, "session": {"format": "opaque", "id": session}}
    own = {"format": "iss_sub", "iss": world.idp, "sub": "alice"}
    for sub_id, about in (
        *((ALICE, "person:alice"), (mail, "person:alice"), (own, "person:alice")),
        *((complex_subject, f"session:{session}"), ({"format": "complex", "user": ALICE}, "person:alice")),
        ({**complex_subject, "user": {**ALICE, "sub": "another"}}, None),
        ({**complex_subject, "session": {"format": "opaque", "id": "theirs"}}, "person:alice"),
        (STREAM, None),
        ({"format": "email", "email": "x@example.org"}, None),
        ({"format": "phone_number", "phone_number": "+12065550100"}, None),
    ):
        assert push(token(world, claims(sub_id=sub_id))) == (202, {})
        follow.follow_waiting()
        row = SecurityEvent.objects.latest("pk")
        found = RiskSignal.objects.filter(reference=f"security_event:{row.pk}").first()
        assert (found.about if found else None, row.outcome) == (about, "signalled" if about else "subject_unknown")


def _session(world: World) -> str:
    from entitlements.sessions.models import Session  # noqa: PLC0415 - the settings are known only now

    world.id_jag()
    return str(Session.objects.get().pk)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"iss": "https://other.example"}, "invalid_issuer"),
    ({"iss": PARTNER}, "invalid_issuer"),
    ({"iss": None}, "invalid_issuer"),
    ({"iss": 7}, "invalid_issuer"),
    ({"aud": "https://other.example"}, "invalid_audience"),
    ({"aud": [f"{AUDIENCE}/"]}, "invalid_audience"),
    ({"aud": None}, "invalid_audience"),
    ({"jti": None}, "invalid_request"),
    ({"jti": ""}, "invalid_request"),
    ({"iat": None}, "invalid_request"),
    ({"iat": NOW + 3600}, "invalid_request"),
    ({"iat": NOW - 31 * 24 * 3600}, "invalid_request"),
    ({"exp": NOW + 300}, "invalid_request"),
    ({"sub": "u-alice"}, "invalid_request"),
    ({"sub_id": None}, "invalid_request"),
    ({"sub_id": "u-alice"}, "invalid_request"),
    ({"sub_id": {"format": "iss_sub", "iss": "https://a.example"}}, "invalid_request"),
    ({"sub_id": {**ALICE, "email": "a@example.org"}}, "invalid_request"),
    ({"sub_id": {"format": "email", "email": "alice"}}, "invalid_request"),
    ({"sub_id": {"format": "own", "id": "x"}}, "invalid_request"),
    ({"sub_id": {"format": "complex"}}, "invalid_request"),
    ({"sub_id": {"format": "complex", "user": ALICE, "pet": ALICE}}, "invalid_request"),
    ({"events": {}}, "invalid_request"),
    ({"events": None}, "invalid_request"),
    ({"events": {REVOKED: {}, f"{RISC}account-disabled": {}}}, "invalid_request"),
    ({"events": {REVOKED: []}}, "invalid_request"),
    ({"events": {REVOKED: {"event_timestamp": "now"}}}, "invalid_request"),
    ({"events": {REVOKED: {"subject": ALICE}}}, "invalid_request"),
    ({"sub_id": None, "events": {REVOKED: {"subject": ALICE}}}, "invalid_request"),
    ({"events": {f"{CAEP}credential-change": {}}}, "invalid_request"),
    ({"events": {f"{CAEP}device-compliance-change": {"current_status": "fine"}}}, "invalid_request"),
    ({"events": {f"{CAEP}token-claims-change": {"claims": {}}}}, "invalid_request"),
    ({"events": {f"{CAEP}risk-level-change": {"principal": "USER", "current_level": "SOME"}}}, "invalid_request"),
    ({"events": {f"{CAEP}session-established": {}}}, "access_denied"),
]


def test_what_is_malformed_or_for_others_is_refused(world: World) -> None:
    for changed, err in REFUSED:
        status, body = push(token(world, claims(**changed)))
        assert (status, body["err"], body["code"]) == (400, err, "security_event_refused"), changed
        assert StrangerCount.objects.filter(kind=f"security_event_refused:{err}").exists()
    assert not SecurityEvent.objects.exists()


def test_an_unsigned_token_and_one_that_another_signed_are_refused(world: World) -> None:
    head, body, signature = token(world).split(".")
    unsigned = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "secevent+jwt"}).encode()).rstrip(b"=")
    other = new_key("stub")
    for text, err in (
        (f"{unsigned.decode()}.{body}.", "authentication_failed"),
        (f"{unsigned.decode()}.{body}.{signature}", "authentication_failed"),
        (f"{head}.{body}.", "authentication_failed"),
        (token(world, key=other), "authentication_failed"),
        (token(world, key=new_key("unknown")), "invalid_key"),
        ("not a token", "invalid_request"),
        ("", "invalid_request"),
        ("é", "invalid_request"),
    ):
        assert (push(text)[0], push(text)[1]["err"]) == (400, err), text
    assert not SecurityEvent.objects.exists()


def test_a_critical_header_that_is_not_understood_is_refused(world: World) -> None:
    header = {"alg": "ES256", "kid": "stub", "typ": "secevent+jwt", "crit": ["b64"], "b64": True}
    registry = jose.JWSRegistry(algorithms=["ES256"])
    text = jose.serialize_compact(header, json.dumps(claims()), world.stub_key.material, registry=registry)
    assert push(text)[1]["err"] == "invalid_request"
    for typ in ("JWT", "logout+jwt", "at+jwt"):
        assert push(token(world, typ=typ))[1]["err"] == "invalid_request"
    assert push(token(world), kind="application/jwt")[1]["err"] == "invalid_request"
    assert push(token(world), method="GET")[0] == 405
    assert not SecurityEvent.objects.exists()


def test_only_an_issuer_that_two_people_let_send_events_sends_them(world: World) -> None:
    stream(world, sends_signals=False)
    assert push(token(world))[1]["err"] == "invalid_issuer"
    stream(world, enabled=False)
    assert push(token(world))[1]["err"] == "invalid_issuer"
    stream(world, enabled=True, signal_events=["account-disabled"])
    assert push(token(world))[1]["err"] == "access_denied"
    assert push(token(world, claims(VERIFICATION, sub_id=STREAM)))[0] == 202
    assert push(token(world, claims(f"{RISC}account-disabled")))[0] == 202


def test_without_the_issuers_keys_the_transmitter_tries_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreachable(*_: Any) -> Any:
        raise key_sets.KeysUnreachable

    stream(world, jwks=None, jwks_uri="https://sso.example.org/keys")
    monkeypatch.setattr(key_sets, "fetched", unreachable)
    status, body = push(token(world))
    assert (status, body["code"]) == (503, "issuer_keys_unreachable")
    assert not SecurityEvent.objects.exists()


def test_no_event_is_taken_for_an_id_token_nor_an_id_token_for_an_event(world: World) -> None:
    assert world.exchange(subject_token=token(world)).status == 400
    status, body = push(world.id_token())
    assert (status, body["err"]) == (400, "invalid_request")
    assert isinstance(jws.read(token(world)).typ, str)


def test_an_event_that_cannot_be_followed_stops_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from entitlements.risk import risk  # noqa: PLC0415 - the settings are known only now

    push(token(world))
    with monkeypatch.context() as broken:
        broken.setattr(risk, "note", lambda *_, **__: 1 / 0)
        assert follow.follow_waiting() == 1
    push(token(world))
    assert follow.follow_waiting() == 1
    assert sorted(SecurityEvent.objects.values_list("outcome", flat=True)) == ["failed", "signalled"]
