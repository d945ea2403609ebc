"""Several processes of one client refresh at one moment, with real transactions: none loses its sign-in."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from audit.context import SYSTEM
from audit.models import Event
from entitlements.revocation import revocation
from entitlements.revocation.models import Revocation
from entitlements.revocation.revocation import Target
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken
from tests import shared
from tests.entitlements.edge import sign_ins, worlds

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
