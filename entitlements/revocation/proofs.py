"""Prove a revocation: ask each gateway node by its own address for calls that it forbids, and sign what each answered.

Every node that served within the last ten minutes and has not stopped is asked. One that does not answer, or answers
what it did not seal, is named as not proven, and the proof is incomplete. A call that a node would let pass fails it.
"""

from __future__ import annotations

import hashlib
import http.client
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.decisions.snapshot import Call, Token
from entitlements.errors import DomainError
from entitlements.feed.models import GatewayNode
from entitlements.keys import signing
from entitlements.revocation import record_keys, sample_calls
from entitlements.revocation.models import Revocation, RevocationProof
from entitlements.stdio.models import StdioNode
from entitlements.stdio.other_nodes import NotOurs
from entitlements.stdio_calls import probes
from entitlements.stdio_calls.probes import Probe, ProbeAnswer

PROOF_TYP: Final = "mandate-revocation-proof+jwt"
SERVED_WITHIN: Final = timedelta(minutes=10)
SECONDS: Final = 3.0
"""How long one answer of a node may take. It itself waits a second for the change feed."""
_SAYS_WITHIN: Final = timedelta(seconds=30)
"""A node of the gateway says within seconds of its start where it is reached."""
_LARGEST: Final = 16 * 1024
_BROKEN: Final = (OSError, http.client.HTTPException, ValueError)


class NothingToProve(DomainError):
    """No call is known that this revocation forbids: nothing used it. There is nothing to prove."""

    code, status = "nothing_to_prove", HTTPStatus.CONFLICT


class NotSettled(DomainError):
    """The gateway nodes have not answered yet, so there is no receipt. Try again in a few seconds."""

    code, status = "revocation_not_settled", HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class _Place:
    """A node as it is asked: `run` and `address` are missing of one that says no address."""

    node: str
    run: UUID | None
    address: str


def prove(stop: Revocation, *, by: Principal) -> RevocationProof:
    """Ask every node for calls that the revocation forbids; keep and sign the answers.

    Must not run inside a transaction of the caller, which would stay open while nodes are waited for. Raises
    NotSettled, NothingToProve, SignerUnreachable.
    """
    if not stop.receipt or stop.position is None:
        raise NotSettled
    calls = sample_calls.forbidden_by(stop)
    if not calls:
        raise NothingToProve
    began, answers, unproven = clock.now(), list[dict[str, Any]](), list[dict[str, Any]]()
    for place in _places():
        given, problem = _ask(place, calls, stop.position)
        answers += given
        unproven += [{"node": place.node, "why": problem}] if problem else []
    proof = RevocationProof(revocation=stop, by=str(by), began_at=began, answers=answers, unproven=unproven)
    proof.result = _result(answers, unproven)
    with transaction.atomic():
        proof.record = signing.sign(record_keys.RECEIPTS, _statement(proof, calls), typ=PROOF_TYP)
        proof.save(force_insert=True)
        detail = {"proof": str(proof.pk), "result": proof.result, "unproven": [each["node"] for each in unproven]}
        nodes = sorted({f"node:{each['node']}" for each in answers})
        log.record(Action.REVOCATION_PROVEN, about=[stop.link, *nodes], by=by, detail=detail)
    return proof


def _result(answers: Sequence[dict[str, Any]], unproven: Sequence[object]) -> str:
    if any(answer["status"] == HTTPStatus.OK for answer in answers):
        return RevocationProof.Result.FAILED
    return RevocationProof.Result.INCOMPLETE if unproven or not answers else RevocationProof.Result.PROVEN


def _places() -> list[_Place]:
    """Return the nodes that carry calls, by name. A node that has said neither way of it for a while issues tokens."""
    now, said = clock.now(), {row.node: row for row in StdioNode.objects.all()}
    carries = Q(relays=True) | Q(pk__in=list(said)) | Q(started_at__gt=now - _SAYS_WITHIN)
    nodes = GatewayNode.objects.filter(carries, stopped_at=None, polled_at__gt=now - SERVED_WITHIN)
    places = []
    for node in nodes.order_by("pk").values_list("pk", flat=True):
        row = said.get(node)
        places.append(_Place(node, row.run, row.address) if row else _Place(node, None, ""))
    return places


def _ask(place: _Place, calls: Sequence[Call], position: int) -> tuple[list[dict[str, Any]], str]:
    """Return what a node answered to each call, and why it proves nothing: empty where it answered all."""
    parts = urlsplit(place.address)
    if place.run is None or not parts.hostname:
        return [], "no_address"
    answers: list[dict[str, Any]] = []
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=SECONDS)
    try:
        for number, probe in enumerate(_probes(calls, position)):
            began = time.monotonic()
            answer = _answer(connection, place, probe)
            took = round((time.monotonic() - began) * 1000, 1)
            if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
                return answers, answer.code
            said = {"status": answer.status, "code": answer.code, "after_ms": took, "at": clock.now().isoformat()}
            answers.append({"node": place.node, "call": number, **said})
    except NotOurs:
        return answers, "not_its_answer"
    except _BROKEN:
        return answers, "unreachable"
    finally:
        connection.close()
    return answers, ""


def _answer(connection: http.client.HTTPConnection, place: _Place, probe: Probe) -> ProbeAnswer:
    sealed = probes.seal_probe(probe, place.node, place.run)
    connection.request("POST", probes.PATH, sealed, {"Content-Type": "application/octet-stream"})
    return probes.open_answer(connection.getresponse().read(_LARGEST), probe, place.node)


def _probes(calls: Sequence[Call], position: int) -> Iterator[Probe]:
    for call in calls:
        token = call.token or Token("", 0.0, 0.0, frozenset())
        yield Probe(
            at=clock.now().timestamp(),
            number=secrets.token_hex(16),
            position=position,
            system=call.system,
            tool=call.tool,
            agent=call.agent,
            client=call.client,
            person=call.person,
            session=call.session,
            jti=token.jti,
            issued=token.issued,
            expires=token.expires,
        )


def _statement(proof: RevocationProof, calls: Sequence[Call]) -> dict[str, Any]:
    stop = proof.revocation
    return {
        "id": str(proof.pk),
        "revocation": str(stop.pk),
        "receipt_sha256": hashlib.sha256(stop.receipt.encode()).hexdigest(),
        "by": proof.by,
        "began_at": proof.began_at.isoformat(),
        "result": proof.result,
        "calls": [_named(call) for call in calls],
        "answers": proof.answers,
        "unproven": proof.unproven,
    }


def _named(call: Call) -> dict[str, str]:
    named = {"agent": call.agent, "client": call.client, "system": call.system, "tool": call.tool}
    return {**named, **({"token": call.token.jti} if call.token else {})}
