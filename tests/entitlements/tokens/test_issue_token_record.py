"""Whatever becomes of calls and connections, each call leaves one event or none, and the verifier finds no gap."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connections

from audit import clock
from audit.models import Event
from entitlements.sessions.models import Session
from entitlements.tokens import issue_token
from entitlements.tokens.issue_token import Answer, Claims, Outcome, Producer
from entitlements.tokens.models import IssuedToken, UsedAssertion
from tests import databases
from tests.audit import make as record
from tests.entitlements.tokens import nodes
from tests.entitlements.tokens.lanes import NUMBER, Lanes
from tests.entitlements.tokens.nodes import Node

pytestmark = pytest.mark.django_db(transaction=True)

NODES = 16


def beside(lanes: Lanes) -> Node:
    """Return another node that serves the same client, on a connection of its own."""
    node = lanes.node
    raw = psycopg.connect(databases.addresses().app, autocommit=True)
    return Node(node.person, node.agent, node.client, node.grant, raw)


def both(
    lanes: Lanes, first: tuple[issue_token.TokenRow, Claims], second: tuple[issue_token.TokenRow, Claims]
) -> list[Answer]:
    """Let a second node call while the first has written all but its event; returns both answers."""
    other = beside(lanes)
    assert other.raw is not None
    lanes.node.mint()  # its producer has a row, which the gate holds
    try:
        with lanes.held(NUMBER, [lanes.node.producer.uuid]):
            call = lanes.call.submit(lanes.node.mint, None, *first)
            lanes.wait_until_blocked(lanes.call_pid, call)
            late = lanes.taker.submit(other.mint, None, *second)
            lanes.wait_until_blocked(other.raw.info.backend_pid, late)
        return [call.result(), late.result()]
    finally:
        other.raw.close()


def test_of_two_calls_with_one_assertion_one_issues(lanes: Lanes) -> None:
    claims = Claims(assertion=nodes.claim("a"), used=nodes.used())
    answers = both(lanes, (lanes.node.row(), claims), (lanes.node.row(), claims))
    assert [answer.outcome for answer in answers] == [Outcome.ISSUED, Outcome.USED]
    assert IssuedToken.objects.count() == 2
    assert sorted(Event.objects.filter(action="token.refused").values_list("sequence", flat=True)) == [1]


def test_of_two_calls_that_begin_one_sessions_one_begins_it_and_the_other_keeps_no_claim(lanes: Lanes) -> None:
    node, mine, theirs = lanes.node, uuid4(), uuid4()
    rows = [node.row(session=session, begins=node.begins()) for session in (mine, theirs)]
    claims = Claims(proof=nodes.claim("p", "client:c"), assertion=nodes.claim("a"), used=nodes.used())
    first, second = both(lanes, (rows[0], issue_token.NOTHING), (rows[1], claims))
    assert (first.outcome, first.session) == (Outcome.ISSUED, mine)
    assert (second.outcome, second.code, second.session) == (Outcome.BEHIND, "sign_in", mine)
    assert Session.objects.get().pk == mine
    assert not UsedAssertion.objects.exists()
    assert lanes.node.mint(row=node.row(session=mine), claims=claims).outcome is Outcome.ISSUED


def test_a_connection_that_is_cut_during_a_call_leaves_nothing_and_its_number_is_not_missed(lanes: Lanes) -> None:
    node = lanes.node
    node.mint()
    lost, claims = node.producer.uuid, Claims(assertion=nodes.claim("a"), used=nodes.used())
    with lanes.held(NUMBER, [lost]):
        call = lanes.call.submit(node.mint, None, None, claims)
        lanes.wait_until_blocked(lanes.call_pid, call)
        lanes.watch.execute("SELECT pg_terminate_backend(%s)", [lanes.call_pid])
        with pytest.raises(psycopg.OperationalError):
            call.result()
    assert IssuedToken.objects.count() == 1
    assert not UsedAssertion.objects.exists()
    with psycopg.connect(databases.addresses().app, autocommit=True) as node.raw:
        node.call(issue_token.refuse(node.producer.end(1), node.producer.uuid))
        assert node.mint(claims=claims).outcome is Outcome.ISSUED
        node.producer = Producer(lost, committed=1)
        assert node.mint().sequence == 2, "who goes on under the old name meets no gap either"


def test_many_nodes_at_once_leave_a_record_in_which_the_verifier_finds_no_gap(lanes: Lanes, tmp_path: Path) -> None:
    """Each node meets every outcome; half of them lose their connection and end their producer by a marker."""
    together = [beside(lanes) for _ in range(NODES)]

    def serve(node: Node) -> None:
        claims = Claims(assertion=nodes.claim(str(uuid4())), used=nodes.used())
        session = node.row(session=uuid4(), begins=node.begins(uuid4().hex * 2))
        assert node.mint(row=session, claims=claims).outcome is Outcome.ISSUED
        assert node.mint(claims=claims).outcome is Outcome.USED
        assert node.mint(node.basis(decided=clock.now() - timedelta(seconds=9))).outcome is Outcome.STALE
        assert node.mint(node.basis(position=-1)).outcome is Outcome.BEHIND
        assert node.mint(row=node.row(session=session.session)).outcome is Outcome.ISSUED
        assert node.refuse().sequence == 5
        connections.close_all()

    with ThreadPoolExecutor(NODES) as pool:
        list(pool.map(serve, together))
    for node in together[::2]:
        node.call(issue_token.refuse(node.producer.end(2), node.producer.uuid))
    for node in together:
        assert node.raw is not None
        node.raw.close()
    archive = record.Archive(tmp_path, Ed25519PrivateKey.generate())
    archive.seal()
    status, report = archive.verify()
    assert status == 0, report
    assert Event.objects.filter(producer__in=[node.producer.uuid for node in together[1::2]]).count() == NODES // 2 * 5


def test_a_node_sees_that_its_count_was_set_back(lanes: Lanes) -> None:
    """An administrator who takes an unsealed event out must set the count back, and the node's own count says so."""
    node = lanes.node
    node.mint()
    node.mint()
    lanes.gate.execute("UPDATE producers SET sequence = 1 WHERE uuid = %s", [node.producer.uuid])
    lanes.gate.commit()
    with pytest.raises(issue_token.OutOfOrder):
        node.mint()
