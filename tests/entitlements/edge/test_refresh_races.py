"""Several processes of one client refresh at one moment, with real transactions: none loses its sign-in."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections, transaction

from audit.context import SYSTEM
from audit.models import Event
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.revocation import revocation
from entitlements.revocation.models import Revocation
from entitlements.revocation.revocation import Target
from entitlements.token_families import families
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken
from tests import shared
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge.test_code_races import lanes, wait_until_blocked

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]

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
        connections.close_all()
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
            connections.close_all()
            return status

        def revoke(family: TokenFamily = family, start: threading.Barrier = start) -> None:
            start.wait()
            revocation.revoke(Target("token_family", str(family.pk)), by=SYSTEM, reason="race")
            connections.close_all()

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
        connections.close_all()

    with lanes(1) as send, ThreadPoolExecutor(1) as person:
        with transaction.atomic():
            TokenFamily.objects.select_for_update().get()
            mine, theirs = send(lambda: world.post(f"/as/{world.system.slug}/revoke", form)), person.submit(end)
            wait_until_blocked(2)  # both have read that it goes on, or would
        mine.result()
        theirs.result()
    assert Event.objects.filter(action="token_family.revoked").count() == 1
