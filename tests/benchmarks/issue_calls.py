"""Calls of `issue_token_v3`, and revocations under sixteen issuers, in a process that has the product."""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import replace
from datetime import timedelta
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from django.db import connections

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.grants import grants
from entitlements.tokens import issue_token
from entitlements.tokens.issue_token import Basis, Outcome, TokenRow
from tests import make
from tests.entitlements.tokens import nodes
from tests.entitlements.tokens.nodes import Node

ISSUERS = 16


def main(calls: str, revocations: str) -> dict[str, Any]:
    """Measure in a process that has the product; returns what `run` prints."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as raw:
        node = nodes.node(raw)
        counted = _calls(node, int(calls))
    made = [_grant(node) for _ in range(2 * int(revocations))]
    alone = [_revoke(pk) for pk in made[::2]]
    shared = [locks.number(Lock.GRANT, pk) for pk in made[1::2]]
    basis = node.basis(locks=node.locks(*shared), position=2**53)  # past every revocation, so that none holds it up
    with_issuers = _under_issuers(basis, _long(node.row()), made[1::2])
    return {"calls": counted, "revoked": {"alone": alone, f"under {ISSUERS} issuers": with_issuers}}


def _long(row: TokenRow) -> TokenRow:
    return replace(row, expires=row.expires + timedelta(hours=1))


def _calls(node: Node, count: int) -> dict[str, float]:
    assert node.raw is not None
    row, session = _long(node.row()), uuid4()
    node.mint(row=replace(row, session=session, begins=node.begins()))
    schedule = Path(f"/proc/{node.raw.info.backend_pid}/schedstat")
    basis = node.basis()
    served, used, began = _seconds(schedule), time.process_time(), time.monotonic()
    for _ in range(count):
        _issue(node.raw, replace(basis, decided=clock.now()), replace(row, session=session), node.producer.uuid)
    wall, used, served = time.monotonic() - began, time.process_time() - used, _seconds(schedule) - served
    return {
        "calls per second": count / wall,
        "calls per core-second of the caller": count / used,
        "calls per core-second of the caller and PostgreSQL": count / (used + served),
        "microseconds of the caller": 1e6 * used / count,
        "microseconds of PostgreSQL": 1e6 * served / count,
    }


def _seconds(schedule: Path) -> float:
    return int(schedule.read_text().split()[0]) / 1e9


def _issue(raw: psycopg.Connection[Any], basis: Basis, row: TokenRow, producer: UUID) -> None:
    row = replace(row, jti=uuid4())
    parameters = issue_token.mint(basis, row, nodes.event(Action.TOKEN_ISSUED, f"token:{row.jti}"), producer)
    answer = issue_token.answer(raw.execute(issue_token.PSYCOPG, parameters, prepare=True).fetchone() or ())
    if answer.outcome is not Outcome.ISSUED:
        raise RuntimeError(str(answer))


def _grant(node: Node) -> UUID:
    system = node.grant.entitlement.system
    return make.grant(node.agent, make.entitlement(system, node.grant.lines.get().tool), people=[node.person]).pk


def _revoke(pk: UUID) -> float:
    began = time.monotonic()
    grants.revoke(pk, by=SYSTEM, reason="measured")
    return time.monotonic() - began


def _under_issuers(basis: Basis, row: TokenRow, made: list[UUID]) -> list[float]:
    connections.close_all()  # the processes below must not share one
    fork = multiprocessing.get_context("fork")
    over = fork.Event()
    issuers = [fork.Process(target=_until, args=(basis, row, over)) for _ in range(ISSUERS)]
    for issuer in issuers:
        issuer.start()
    time.sleep(1)
    try:
        return [_revoke(pk) for pk in made]
    finally:
        over.set()
        for issuer in issuers:
            issuer.join()
        if any(issuer.exitcode for issuer in issuers):
            raise RuntimeError("an issuer failed")


def _until(basis: Basis, row: TokenRow, over: Event) -> None:
    producer = uuid4()
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as raw:
        while not over.is_set():
            _issue(raw, replace(basis, decided=clock.now()), row, producer)
