"""Sign-ins at the identity side with real transactions: refreshes at once, and the end of what is being redeemed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections, transaction

from audit.context import SYSTEM
from audit.models import Event
from entitlements.clients.models import Client
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.revocation import revocation
from entitlements.revocation.models import Revocation
from entitlements.revocation.revocation import Target
from entitlements.sessions.models import Session
from entitlements.token_families import families
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken
from tests import make, shared
from tests.entitlements.edge import idp_sign_ins as idp
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge import worlds
from tests.entitlements.edge.test_code_races import lanes, wait_until_blocked
from tests.entitlements.edge.worlds import Answer, World

pytestmark = pytest.mark.django_db(transaction=True)

PROCESSES = 5
ROUNDS = shared.race_rounds(4)


@pytest.fixture
def signed_in() -> World:
    world = worlds.world()
    client, _ = make.client(world.agent, "public-client", auth=Client.Auth.NONE)
    make.rewrite(client, redirect_uris=flow.BACK)
    flow.sign_in(world)
    return world


def test_five_refresh_at_once_and_go_on_with_one_successor(signed_in: World) -> None:
    current = str(idp.begin(signed_in, is_public=True).body["refresh_token"])
    start = threading.Barrier(PROCESSES)

    def refresh(token: str) -> tuple[int, str]:
        start.wait()
        answer = idp.refresh(signed_in, token, is_public=True)
        connections.close_all()
        return answer.status, str(answer.body.get("refresh_token", answer.body))

    for generation in range(2, ROUNDS + 2):
        with ThreadPoolExecutor(PROCESSES) as processes:
            answers = list(processes.map(refresh, [current] * PROCESSES))
        assert {status for status, _ in answers} == {200}, answers
        (current,) = {token for _, token in answers}
        family = TokenFamily.objects.get()
        assert (family.generation, len(family.retired), family.ended_at) == (generation, generation - 1, None)
    assert Event.objects.filter(action="token.issued").count() == 1 + PROCESSES * ROUNDS


def test_five_exchange_one_refresh_token_at_once_in_one_session(signed_in: World) -> None:
    token = str(idp.begin(signed_in).body["refresh_token"])
    start = threading.Barrier(PROCESSES)

    def exchange(_: int) -> int:
        start.wait()
        answer = idp.exchange_refresh_token(signed_in, token)
        connections.close_all()
        return answer.status

    with ThreadPoolExecutor(PROCESSES) as processes:
        assert set(processes.map(exchange, range(PROCESSES))) == {200}
    family = TokenFamily.objects.get()
    assert (family.generation, family.session) == (1, Session.objects.get())
    assert IssuedToken.objects.filter(family=family.pk, kind="id_jag").count() == PROCESSES


def test_a_refresh_that_meets_the_end_of_its_sign_in_waits_for_it(signed_in: World) -> None:
    token = str(idp.begin(signed_in, is_public=True).body["refresh_token"])
    family = TokenFamily.objects.get()
    with lanes(1) as send:
        with transaction.atomic():
            locks.exclusive((Lock.TOKEN_FAMILY, family.pk))
            answer = send(lambda: idp.refresh(signed_in, token, is_public=True))
            wait_until_blocked(1)
            families.revoke(family.pk, by=SYSTEM, reason="stolen")
        assert answer.result().error == (400, "invalid_grant", "token_family_ended")


@pytest.mark.parametrize("by", ["a revocation", "the client"])
def test_the_end_of_a_sign_in_waits_for_what_is_being_redeemed_and_ends_that_too(signed_in: World, by: str) -> None:
    """The redemption has looked at everything and writes; the end of the family comes before it commits."""
    token = str(idp.begin(signed_in).body["refresh_token"])
    id_jag = idp.exchange_refresh_token(signed_in, token).body["access_token"]
    family = TokenFamily.objects.get()

    def redeem() -> Answer:
        answer = signed_in.redeem(id_jag, **idp.proof(signed_in, signed_in.audience))
        connections.close_all()
        return answer

    def revoke() -> None:
        if by == "the client":
            assert signed_in.post("/idp/revoke", {"token": token, **idp.proof(signed_in)}).status == 200
        else:
            revocation.revoke(Target("token_family", str(family.pk)), by=SYSTEM, reason="stolen")
        connections.close_all()

    with ThreadPoolExecutor(2) as sides:
        with transaction.atomic():
            Session.objects.select_for_update().get()  # which the redemption writes after it has looked
            redeeming = sides.submit(redeem)
            wait_until_blocked(1)
            ending = sides.submit(revoke)
            wait_until_blocked(2)
        answer = redeeming.result()
        ending.result()
    assert answer.status == 200, answer.body
    assert not IssuedToken.objects.filter(revoked_at=None).exists()
    assert set(IssuedToken.objects.values_list("kind", "family")) == {
        ("id_jag", family.pk),
        ("access_token", family.pk),
    }
    assert {receipt.covered["access_tokens"] for receipt in Revocation.objects.all()} <= {1}
