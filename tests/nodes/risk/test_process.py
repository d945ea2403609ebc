"""A node takes pushed events as it runs: a signal challenges the next call within two seconds, and a burst is taken."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from pytest_django.plugin import DjangoDbBlocker

from entitlements.risk import follow
from entitlements.risk.models import RiskSignal, SecurityEvent
from tests import databases, waits
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import World
from tests.entitlements.risk.worlds import CAEP, TYPE, answered, claims, stream, token
from tests.nodes.edge.test_process import Wire
from tests.nodes.gateway import world as gateways

BURST = 200


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:  # noqa: ARG001
    with databases.emptied(django_db_blocker), gateways.gateway("signals") as node:
        made = worlds.world()
        stream(made)
        made.http = Wire(node.base)  # type: ignore[assignment]  # it posts, and does nothing else
        yield made
        made.http.http.close()  # type: ignore[attr-defined]  # as above


def push(world: World, body: str) -> int:
    http: httpx2.Client = world.http.http  # type: ignore[attr-defined]  # as above
    return http.post("/ssf/events", content=body, headers={"content-type": TYPE}).status_code


def is_active(world: World, access_token: str) -> bool:
    form = {"token": access_token, **world.credentials(world.audience)}
    return bool(world.post(f"/as/{world.system.slug}/introspect", form).body["active"])


def test_a_signal_ends_what_an_older_sign_in_opened(world: World) -> None:
    answered("session_revoked", "step_up")
    access_token, old = world.access_token(), world.id_token()
    assert is_active(world, access_token)
    assert (
        push(world, token(world, claims(f"{CAEP}session-revoked", payload={"event_timestamp": int(time.time())})))
        == 202
    )
    assert follow.follow_waiting() == 1
    waits.until(lambda: not is_active(world, access_token))
    assert world.exchange(subject_token=old).error[1] == "insufficient_user_authentication"
    fresh = world.id_token(auth_time=int(time.time()) + 1)
    assert world.exchange(subject_token=fresh).status == 200, "a new sign-in goes on"


def test_a_burst_of_events_is_taken_together_and_each_once(world: World) -> None:
    before = SecurityEvent.objects.count()
    bodies = [token(world, claims(f"{CAEP}token-claims-change", payload={"claims": {"n": n}})) for n in range(BURST)]
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda body: push(world, body), [*bodies, *bodies[:20]]))
    assert {*statuses} == {202}
    assert SecurityEvent.objects.count() == before + BURST
    while follow.follow_waiting():
        pass
    assert RiskSignal.objects.filter(kind="token_claims_change").count() == BURST
    world.alice.refresh_from_db()
    assert not SecurityEvent.objects.filter(followed_at=None).exists()
