"""Several processes of one client refresh at one moment, with real transactions: none loses its sign-in."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections as database_connections
from django.db import transaction

from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents import personal_agents
from entitlements.connections import connections
from entitlements.connections.models import Connection
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.revocation import revocation
from entitlements.revocation.models import Revocation
from entitlements.revocation.revocation import Target
from entitlements.token_families import families
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken
from tests import make, shared
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge.test_code_races import lanes, wait_until_blocked

pytestmark = pytest.mark.django_db(transaction=True)

PROCESSES = 5
ROUNDS = shared.race_rounds(6)


def test_five_refresh_at_once_and_go_on_with_one_successor() -> None:
    world = worlds.world()
    sign_ins.public_client(world)
    current = str(sign_ins.signed_in(world).body["refresh_token"])
    start = threading.Barrier(PROCESSES)

    def refresh(token: str) -> tuple[int, str]:
        start.wait()
        answer = sign_ins.refresh(world, token)
        database_connections.close_all()
        return answer.status, str(answer.body.get("refresh_token", answer.body))

    for generation in range(2, ROUNDS + 2):
        with ThreadPoolExecutor(PROCESSES) as lanes:
            answers = list(lanes.map(refresh, [current] * PROCESSES))
        assert {status for status, _ in answers} == {200}, answers
        (current,) = {token for _, token in answers}
        family = TokenFamily.objects.get()
        assert (family.generation, len(family.retired), family.ended_at) == (generation, generation - 1, None)
    tokens = IssuedToken.objects.filter(family=TokenFamily.objects.get().pk).count()
    assert tokens == Event.objects.filter(action="token.issued").count() == 1 + PROCESSES * ROUNDS


def test_nothing_is_issued_to_a_family_after_it_was_revoked() -> None:
    world = worlds.world()
    sign_ins.public_client(world)
    for _ in range(ROUNDS):
        token = str(sign_ins.signed_in(world).body["refresh_token"])
        family = TokenFamily.objects.get(ended_at=None)
        start = threading.Barrier(3)

        def refresh(token: str = token, start: threading.Barrier = start) -> int:
            start.wait()
            status = sign_ins.refresh(world, token).status
            database_connections.close_all()
            return status

        def revoke(family: TokenFamily = family, start: threading.Barrier = start) -> None:
            start.wait()
            revocation.revoke(Target("token_family", str(family.pk)), by=SYSTEM, reason="race")
            database_connections.close_all()

        with ThreadPoolExecutor(3) as lanes:
            refreshing = [lanes.submit(refresh) for _ in range(2)]
            lanes.submit(revoke).result()
            assert {each.result() for each in refreshing} <= {200, 400}
        assert not IssuedToken.objects.filter(family=family.pk, revoked_at=None).exists()
        receipt = Revocation.objects.get(target_id=str(family.pk))
        assert receipt.covered["access_tokens"] == IssuedToken.objects.filter(family=family.pk).count()


def test_a_refresh_that_meets_a_revocation_waits_for_it_before_it_holds_the_row() -> None:
    world = worlds.world()
    sign_ins.public_client(world)
    token = str(sign_ins.signed_in(world).body["refresh_token"])
    family = TokenFamily.objects.get()
    with lanes(1) as send:
        with transaction.atomic():
            locks.exclusive((Lock.TOKEN_FAMILY, family.pk))
            answer = send(lambda: sign_ins.refresh(world, token))
            wait_until_blocked(1)
            families.revoke(family.pk, by=SYSTEM, reason="race")
        assert answer.result().error == (400, "invalid_grant", "token_family_ended")


def test_a_family_that_its_client_and_a_person_end_at_one_moment_ends_once() -> None:
    world = worlds.world()
    desk = sign_ins.public_client(world)
    form = {"token": str(sign_ins.signed_in(world).body["refresh_token"]), "client_id": desk.client_id}
    family = TokenFamily.objects.get()

    def end() -> None:
        with contextlib.suppress(families.TokenFamilyEnded):
            families.revoke(family.pk, by=SYSTEM, reason="race")
        database_connections.close_all()

    with lanes(1) as send, ThreadPoolExecutor(1) as person:
        with transaction.atomic():
            TokenFamily.objects.select_for_update().get()
            mine, theirs = send(lambda: world.post(f"/as/{world.system.slug}/revoke", form)), person.submit(end)
            wait_until_blocked(2)  # both have read that it goes on, or would
        mine.result()
        theirs.result()
    assert Event.objects.filter(action="token_family.revoked").count() == 1


def test_a_refresh_that_meets_the_end_of_its_connection_waits_for_it_and_gets_nothing() -> None:
    world = worlds.world()
    sign_ins.personal_client(world)
    agent = sign_ins.connected(world)
    token = str(sign_ins.signed_in(world).body["refresh_token"])
    with lanes(1) as send:
        with transaction.atomic():
            locks.exclusive((Lock.AGENT, agent.pk))
            answer = send(lambda: sign_ins.refresh(world, token))
            wait_until_blocked(1)  # it was decided while the connection was open
            connections.end(Connection.objects.get().pk, by=SYSTEM, reason="race")
        assert answer.result().status == 400
    assert not IssuedToken.objects.filter(revoked_at=None).exists()


def test_nothing_of_a_connection_lives_after_it_has_ended() -> None:
    world = worlds.world()
    sign_ins.personal_client(world)
    sign_ins.connected(world)
    token = str(sign_ins.signed_in(world).body["refresh_token"])
    start = threading.Barrier(3)

    def refresh() -> int:
        start.wait()
        status = sign_ins.refresh(world, token).status
        database_connections.close_all()
        return status

    def end() -> None:
        start.wait()
        connections.end(Connection.objects.get().pk, by=SYSTEM, reason="race")
        database_connections.close_all()

    with ThreadPoolExecutor(3) as threads:
        refreshing = [threads.submit(refresh) for _ in range(2)]
        threads.submit(end).result()
        assert {each.result() for each in refreshing} <= {200, 400}
    assert not IssuedToken.objects.filter(revoked_at=None).exists()


def test_a_person_who_agrees_twice_at_one_moment_has_one_agent() -> None:
    client, person = make.personal_client(), make.person()
    start = threading.Barrier(4)

    def connect() -> int:
        start.wait()
        try:
            return personal_agents.connect(client, person).agent_id
        finally:
            database_connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        connected = {each.result() for each in [threads.submit(connect) for _ in range(4)]}
    assert connected == {Connection.objects.get().agent_id}
    assert Event.objects.filter(action="connection.begun").count() == 1
