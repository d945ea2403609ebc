"""A company whose provider sends security events, and how its tokens are made and pushed."""

# ruff: noqa: ANN401 - claims are any JSON

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from entitlements.keys import jws
from entitlements.risk import follow
from entitlements.risk.models import RiskSignal, SecurityEvent, SignalResponse
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import edge, make
from tests.entitlements.edge.worlds import STUB, World

AUDIENCE = "https://mandate.example/events"
CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"
ALICE = {"format": "iss_sub", "iss": STUB, "sub": "u-alice"}
TYPE = "application/secevent+jwt"


def stream(world: World, **terms: Any) -> TrustedIssuer:
    """Let the company's provider send security events as well."""
    for name, value in {"sends_signals": True, "signal_audience": AUDIENCE, **terms}.items():
        setattr(world.issuer, name, value)
    world.issuer.save()
    return world.issuer


def claims(
    event: str = f"{CAEP}session-revoked", *, sub_id: Any = ALICE, payload: Any = None, **more: Any
) -> dict[str, Any]:
    said = {"iss": STUB, "jti": str(uuid.uuid4()), "iat": int(time.time()), "aud": AUDIENCE, "sub_id": sub_id}
    said |= {"events": {event: {} if payload is None else payload}, **more}
    return {name: value for name, value in said.items() if value is not None}


def token(
    world: World, said: dict[str, Any] | None = None, *, typ: str = "secevent+jwt", key: jws.Key | None = None
) -> str:
    return jws.sign(claims() if said is None else said, key or world.stub_key, typ)


def push(body: str, *, kind: str = TYPE, method: str = "POST") -> tuple[int, dict[str, Any]]:
    answer = edge.request(method, "/ssf/events", {"content-type": kind}, body.encode(), "127.0.0.1")
    return answer.status_code, json.loads(answer.content or b"{}")


def told(world: World, event: str = f"{CAEP}session-revoked", **more: Any) -> RiskSignal:
    """Push one event, and let it be followed."""
    assert push(token(world, claims(event, **more)))[0] == 202
    assert follow.follow_waiting()
    row = SecurityEvent.objects.latest("pk")
    return RiskSignal.objects.get(reference=f"security_event:{row.pk}")


def answered(kind: str, response: str, mode: str = "enforce") -> None:
    """Have a kind of signal answered so, as two people agreed."""
    from entitlements.risk import response_policy  # noqa: PLC0415 - the settings are known only now

    row = response_policy.propose(kind, response=response, mode=mode, by=make.security(), reason="for a test")
    response_policy.KIND.confirm(row.pk, by=make.security())
    assert SignalResponse.objects.get(pk=row.pk).state == "in_force"
