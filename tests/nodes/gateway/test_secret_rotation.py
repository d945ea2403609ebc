"""The secret of a system is replaced while calls go on: none fails, and once the overlap ends the old is not sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from aiohttp import web
from django.db import transaction

from audit import clock
from audit.context import SYSTEM
from entitlements.credential_policy import policy
from entitlements.credential_policy.models import CredentialPolicy
from entitlements.credential_policy.rules import DEFAULT_DAYS
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.secrets import vault
from entitlements.secrets.models import Secret
from tests import waits
from tests.nodes.gateway import scripted, world
from tests.nodes.gateway.scripted import Scripted
from tests.nodes.gateway.world import Gateway, World

SCHEMA = {"type": "object"}
OLD, NEW = "the-secret-of-before", "the-secret-of-today"


class Guarded(Scripted):
    """An upstream that lets in who has one of its secrets, and notes how often each was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.accepts = {OLD}
        self.sent: list[tuple[float, str]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Refuse a secret that it does not know."""
        secret = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.sent.append((time.time(), secret))
        if secret not in self.accepts:
            return web.Response(status=401)
        return await super().handle(request)


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guarded]:
    monkeypatch.setattr(scripted, "Scripted", lambda **_: Guarded())
    with scripted.upstream() as server:
        assert isinstance(server, Guarded)
        yield server


@pytest.fixture
def it(node: Gateway, upstream: Guarded) -> World:  # noqa: ARG001 - it runs
    made = world.build(upstream.url, tool="act", schema=SCHEMA)
    vault.set_secret(made.system, kind="bearer", value=OLD, by=SYSTEM)
    return made


def called(node: Gateway, it: World, token: str, **arguments: object) -> int:
    return node.call(it, token, do="answer", **arguments).status_code


def end_overlap(it: World, seconds: float) -> float:
    """Let the overlap end soon; the node hears of it now, and of nothing when it ends."""
    now = clock.now()
    with transaction.atomic():
        locks.exclusive((Lock.SYSTEM, it.system.pk))
        Secret.objects.filter(system=it.system).update(previous_ends_at=now + timedelta(seconds=seconds))
        changes.note(subjects.system(it.system.pk))
    return now.timestamp() + seconds


def under_load(node: Gateway, it: World, meanwhile: Callable[[], None], threads: int = 3) -> list[int]:
    done, token, statuses = threading.Event(), it.token(), list[int]()

    def use() -> None:
        while not done.is_set():
            statuses.append(called(node, it, token))
            time.sleep(0.01)

    with ThreadPoolExecutor(threads) as lanes:
        using = [lanes.submit(use) for _ in range(threads)]
        try:
            meanwhile()
        finally:
            done.set()
        for each in using:
            each.result()
    return statuses


def rotate(it: World, upstream: Guarded, rounds: int) -> None:
    """Store a new secret before the upstream knows it, let it know both, then the new one alone."""
    for number in range(rounds):
        old, new = next(iter(upstream.accepts)), f"{NEW}-{number}"
        vault.set_secret(it.system, kind="bearer", value=new, by=SYSTEM, keep_previous=True)
        time.sleep(0.3)
        upstream.accepts = {old, new}
        time.sleep(0.1)
        upstream.accepts = {new}
        time.sleep(0.1)


def check_rotates(node: Gateway, it: World, upstream: Guarded, rounds: int) -> None:
    statuses = under_load(node, it, lambda: rotate(it, upstream, rounds))
    assert set(statuses) == {200}
    assert len(statuses) > 10 * rounds
    ended = end_overlap(it, 0.5)
    before = f"{NEW}-{rounds - 2}" if rounds > 1 else OLD
    upstream.accepts = {before}
    assert set(under_load(node, it, lambda: time.sleep(1.2))) != {200}
    assert [secret for at, secret in upstream.sent if at > ended + 0.2 and secret == before] == []
    assert [secret for at, secret in upstream.sent if at > ended + 0.2 and secret != before] != []


def test_no_call_fails_in_the_overlap_and_the_secret_before_is_not_sent_after_it(
    node: Gateway, it: World, upstream: Guarded
) -> None:
    check_rotates(node, it, upstream, 3)
    assert len(upstream.calls) == len({request["id"] for request in upstream.calls}), "no call was carried out twice"


def test_without_an_overlap_the_secret_before_is_never_sent_again(node: Gateway, it: World, upstream: Guarded) -> None:
    token = it.token()
    assert called(node, it, token) == 200
    vault.set_secret(it.system, kind="bearer", value=NEW, by=SYSTEM)
    stored = len(upstream.sent)
    waits.until(lambda: called(node, it, token) != 200)
    assert called(node, it, token) != 200
    assert OLD not in {secret for _, secret in upstream.sent[stored + 1 :]}


def test_an_answer_never_holds_the_secret_before(node: Gateway, it: World, upstream: Guarded) -> None:
    vault.set_secret(it.system, kind="bearer", value=NEW, by=SYSTEM, keep_previous=True)
    assert upstream.accepts == {OLD}
    answer = node.call(it, do="repeat")
    assert OLD not in answer.text
    assert "secret_in_answer" in answer.text


def test_a_secret_that_is_too_old_is_sent_unless_the_policy_stops_it(
    node: Gateway, it: World, upstream: Guarded
) -> None:
    token = it.token()
    CredentialPolicy.objects.all().delete()  # with it the grace of an upgrade
    Secret.objects.filter(system=it.system).update(changed_at=clock.now() - timedelta(days=365))

    def publish(*, stops: bool) -> None:
        policy.publish(
            DEFAULT_DAYS,
            overlap_hours=24,
            stops_upstream_secrets=stops,
            by=SYSTEM,
            proposed_by="person:a",
            reason="x",
        )

    publish(stops=False)
    assert called(node, it, token) == 200
    publish(stops=True)
    sent = len(upstream.sent)
    waits.until(lambda: called(node, it, token) != 200)
    assert len(upstream.sent) <= sent + 1
    vault.set_secret(it.system, kind="bearer", value=OLD, by=SYSTEM)
    waits.until(lambda: called(node, it, token) == 200)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_hundred_secrets_of_a_system_under_load(node: Gateway, it: World, upstream: Guarded) -> None:
    check_rotates(node, it, upstream, 100)
