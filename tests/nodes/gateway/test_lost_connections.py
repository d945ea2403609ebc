"""A node whose connections to the database were all cut serves the next call: dead ones are found, not answered for."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from django.db import connection, connections, transaction

from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from tests import waits
from tests.nodes.gateway.world import Gateway, World, build

_OURS = (
    "FROM pg_stat_activity WHERE datname = current_database() AND application_name IN"
    " ('mandate-gateway', 'mandate-record', 'mandate-feed', 'mandate-strangers')"
)


def backends() -> Counter[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT application_name {_OURS}")
        return Counter(name for (name,) in cursor.fetchall())


def cut() -> None:
    """End every backend of the node at once, as a failover of the database does."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_terminate_backend(pid, 5000) {_OURS}")


def forget(worlds: list[World]) -> None:
    """Have the node read the facts of these agents anew at their next call."""
    with transaction.atomic():
        locks.exclusive(*((Lock.AGENT, world.agent.pk) for world in worlds))
        for world in worlds:
            changes.note(subjects.agent(world.agent.pk))


def test_calls_after_every_connection_was_cut_are_answered(node: Gateway, here: World) -> None:
    worlds = [here, *(build(here.system.upstream_url) for _ in range(5))]
    tokens = [(world, world.token()) for world in worlds]

    def call(pair: tuple[World, str]) -> int:
        try:
            return node.call(*pair).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(tokens)) as pool:

        def all_at_once() -> list[int]:
            return list(pool.map(call, tokens))

        def has_several() -> bool:
            forget(worlds)
            return all_at_once() == [200] * len(tokens) and backends()["mandate-gateway"] > 1

        waits.until(has_several)
        for one_by_one in (True, False):
            forget(worlds)
            cut()
            answers = [call(pair) for pair in tokens] if one_by_one else all_at_once()
            assert answers == [200] * len(tokens)
            waits.until(has_several)
    waits.until(lambda: {world.calls()[-1] for world in worlds} == {"call.finished"})  # written after the answer
