"""Two requests meet at one authorization code, or at one session that begins, with real transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest
from django.db import connections, transaction

from audit import clock
from audit.models import Event
from entitlements.clients.models import AuthorizationCode
from entitlements.edge.sign_in.families import sign_in_digest
from entitlements.sessions.models import Session
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken
from tests import databases, make, waits
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge.sign_ins import BACK, agree, redeem
from tests.entitlements.edge.worlds import Answer

pytestmark = pytest.mark.django_db(transaction=True)

_BLOCKED = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0
"""


@contextmanager
def lanes(many: int) -> Iterator[Callable[[Callable[[], Answer]], Future[Answer]]]:
    """Send each request from a thread of its own."""

    def run(ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(many) as threads:
        yield lambda ask: threads.submit(run, ask)


def wait_until_blocked(many: int) -> None:
    """Return when so many backends wait for another."""
    with psycopg.connect(databases.addresses().app, autocommit=True) as watch:
        waits.until(lambda: watch.execute(_BLOCKED).fetchall() >= [(many,)])


@pytest.mark.parametrize(
    ("is_proven", "has_session"), [(False, False), (True, False), (False, True)], ids=["public", "proven", "session"]
)
def test_a_code_that_two_redeem_at_one_moment_gives_one_token_and_ends_its_family(
    *, is_proven: bool, has_session: bool
) -> None:
    world = worlds.world()
    sign_ins.public_client(world)
    if has_session:
        sign_ins.signed_in(world)
    make.rewrite(world.client, redirect_uris=BACK)
    client_id = world.client.client_id if is_proven else sign_ins.CLIENT
    code = agree(world, client_id=client_id)["code"]

    def ask() -> Answer:
        proof = {"client_id": None, **world.credentials(world.audience)} if is_proven else {}
        return redeem(world, code, **proof)

    with lanes(2) as send:
        with transaction.atomic():
            AuthorizationCode.objects.select_for_update().get()
            answers = [send(ask), send(ask)]
            wait_until_blocked(2)  # both have read the code
        first, second = sorted((each.result() for each in answers), key=lambda answer: answer.status)

    assert first.status == 200, first.body
    assert second.error == (400, "invalid_grant", "code_unknown")
    family = TokenFamily.objects.exclude(ended_at=None).get()
    assert not IssuedToken.objects.filter(family=family.pk, revoked_at=None).exists()
    assert Event.objects.filter(action="token_family.reused").count() == 1
    assert [event.code for event in worlds.refusals()] == ["code_unknown"]


def test_a_code_is_not_lost_where_another_node_begins_the_session_at_this_moment() -> None:
    world = worlds.world()
    desk = sign_ins.public_client(world)
    code = agree(world)["code"]
    auth_time, now = AuthorizationCode.objects.get().auth_time, clock.now()
    assert auth_time is not None
    with lanes(1) as send:
        with transaction.atomic():
            session = Session.objects.create(
                client=desk,
                agent=world.agent,
                person=world.alice,
                sign_in_sha256=sign_in_digest("alice", auth_time, world.agent.slug),
                started_at=now,
                last_used_at=now,
                auth_time=auth_time,
                expires_at=now + timedelta(hours=8),
                idle_seconds=3600,
            )
            answer = send(lambda: redeem(world, code))
            wait_until_blocked(1)
        assert answer.result().status == 200, answer.result().body
    assert TokenFamily.objects.get().session == session
    assert redeem(world, code).error == (400, "invalid_grant", "code_unknown")
