"""Issue against revoke, with real transactions: what is taken away stays away, and takers are not kept waiting."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.db import connections

from audit.context import SYSTEM
from audit.models import Event
from entitlements import addresses
from entitlements.catalog.models import Entitlement
from entitlements.feed import locks
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.tokens.models import IssuedToken, TokenGrant, UsedAssertion
from tests import databases, make, shared
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import World
from tests.proofs import Holder

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = shared.race_rounds(40)
ISSUERS = 16


def _grants(world: World) -> list[Grant]:
    """Make a grant a round, each of an entitlement of its own, for the agent on its own."""
    made = Entitlement.objects.bulk_create(
        Entitlement(system=world.system, scope=f"time:round{number}", name="round") for number in range(ROUNDS)
    )
    line = world.entitlement.lines.get()
    type(line).objects.bulk_create(type(line)(entitlement=each, tool=line.tool) for each in made)
    return [make.grant(world.agent, each) for each in made]


def test_a_token_is_never_issued_after_its_grant_was_revoked() -> None:
    world = worlds.world()
    *rounds, first, second = _grants(world)
    assert world.alone(scope=first.entitlement.scope).status == 200  # what is loaded once is loaded
    began = time.monotonic()
    assert world.alone(scope=second.entitlement.scope).status == 200
    usual = time.monotonic() - began
    start = threading.Barrier(2)
    statuses: list[int] = []

    def issue() -> None:
        for grant in rounds:
            start.wait()
            statuses.append(world.alone(scope=grant.entitlement.scope).status)
        connections.close_all()

    def revoke() -> dict[object, int]:
        found: dict[object, int] = {}
        for number, grant in enumerate(rounds):
            start.wait()
            time.sleep(usual * (number % 10) / 4)  # from well before the issuer reads to well after, on any machine
            grants.revoke(grant.pk, by=SYSTEM, reason="race")
            found[grant.pk] = TokenGrant.objects.filter(grant=grant).count()
        connections.close_all()
        return found

    with ThreadPoolExecutor(2) as lanes:
        issuing, revoking = lanes.submit(issue), lanes.submit(revoke)
        issuing.result()
        when_revoked = revoking.result()

    afterwards = {grant.pk: TokenGrant.objects.filter(grant=grant).count() for grant in rounds}
    assert when_revoked == afterwards
    assert 0 < statuses.count(200) < len(rounds), "one side always won: the rounds prove nothing"
    issued = statuses.count(200) + len((first, second))
    assert issued == IssuedToken.objects.count() == Event.objects.filter(action="token.issued").count()
    live = IssuedToken.objects.exclude(draws_on__grant__state=Grant.State.REVOKED)
    assert set(live.values_list("draws_on__grant", flat=True)) == {first.pk, second.pk}


def test_issuers_at_work_do_not_starve_whoever_takes_away() -> None:
    """Sixteen issuers overlap on one grant without a pause: under FOR SHARE this starved the revoker for seconds."""
    world = worlds.world()
    rounds = _grants(world)[:20]
    current, taken, done = [rounds[0].pk], Counter[object](), threading.Event()

    def loop() -> None:
        with psycopg.connect(databases.addresses().app, autocommit=True) as connection:
            while not done.is_set():
                with connection.transaction():
                    key = locks.number(locks.Lock.GRANT, of := current[0])
                    connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", [key])
                    taken[of] += 1
                    connection.execute("SELECT pg_sleep(0.003)")

    issuers = [threading.Thread(target=loop) for _ in range(ISSUERS)]
    for issuer in issuers:
        issuer.start()
    overtaken: list[int] = []
    try:
        for grant in rounds:
            current[0] = grant.pk
            time.sleep(0.02)
            before = taken[grant.pk]
            grants.revoke(grant.pk, by=SYSTEM, reason="race")
            overtaken.append(taken[grant.pk] - before)
    finally:
        done.set()
        for issuer in issuers:
            issuer.join()

    assert max(overtaken) < 20 * ISSUERS, overtaken  # the benchmark prints the milliseconds


def test_of_many_at_once_one_takes_a_proof_and_of_two_proofs_each_is_taken() -> None:
    world, holder = worlds.world(), Holder()
    headers = [holder.prove("POST", f"{addresses.endpoints('idp')}/token") for _ in range(2)]
    forms = [world.exchange_form() for _ in range(ISSUERS)]
    start = threading.Barrier(ISSUERS)

    def exchange(number: int) -> str:
        start.wait()
        answer = world.post("/idp/token", forms[number], DPoP=headers[number % 2])
        connections.close_all()
        return "issued" if answer.status == 200 else str(answer.body["error"])

    with ThreadPoolExecutor(ISSUERS) as lanes:
        outcomes = [*lanes.map(exchange, range(ISSUERS))]
    assert sorted(outcomes) == ["invalid_dpop_proof"] * (ISSUERS - 2) + ["issued"] * 2
    assert IssuedToken.objects.count() == 2
    assert UsedAssertion.objects.filter(issuer=f"dpop:{holder.thumbprint}").count() == 2
    assert len(worlds.refusals()) == ISSUERS - 2
