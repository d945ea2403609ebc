"""What the gateway says about itself: resource metadata, health, readiness and numbers."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Final

from django.conf import settings
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from audit import clock
from entitlements import addresses, monitoring
from entitlements.codes import Code
from entitlements.dpop import proofs
from entitlements.gateway import all_systems, answers
from entitlements.gateway.http import Answer
from entitlements.gateway.origins import cors
from entitlements.node.metrics import numbers
from entitlements.node.node import Node
from entitlements.node.refusals import Refused
from entitlements.node_feed import lease
from entitlements.node_feed.host_messages import Numbers
from entitlements.node_feed.worker_feed import WorkerFeed

_GAUGES: Final = (
    ("mandate_lease_age_seconds", "Since the last successful poll of the feed."),
    ("mandate_feed_position", "How far this node has applied."),
    ("mandate_feed_listens", "1 where notifications wake this node, 0 where it only polls."),
    ("mandate_snapshots", "Facts held about agents."),
    ("mandate_open", "Calls and streams under way."),
)
_TEXT: Final = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
_PUBLIC: Final = (b"cache-control", b"max-age=60")


async def resource_metadata(node: Node, slug: str, protocol: str = answers.MCP) -> Answer:
    """Return the protected resource metadata of one address of a system, or of all (RFC 9728; GW-9).

    Raises Refused, Closed.

    For all it names no scope: a client that asks for none gets what its agent holds, wherever that is.
    """
    entry = await all_systems.entry(node, slug)
    if entry is None or (protocol == answers.REST and entry.operations is None):
        raise Refused(Code.SYSTEM_UNKNOWN)
    metadata = {
        "resource": answers.resource(slug, protocol),
        "authorization_servers": [addresses.issuer(addresses.issuer_path(slug))],
        "scopes_supported": list(entry.scopes),
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": list(proofs.ALGORITHMS),
        "dpop_bound_access_tokens_required": settings.DPOP_REQUIRED == "all",
        "resource_name": entry.name,
    }
    answer = Answer.of(HTTPStatus.OK, {name: value for name, value in metadata.items() if value})
    return Answer(answer.status, answer.body, (answer.headers[0], _PUBLIC, *cors.ANY_ORIGIN))


def missing(node: Node) -> list[str]:
    """Name what this node lacks to serve."""
    lacks: list[str] = []
    if not node.feed.is_alive:
        lacks.append("lease")
    try:
        clock.now()
    except clock.ClockUnknown:
        lacks.append("clock")
    if not node.writer_is_running:
        lacks.append("record")
    return lacks


def readiness(node: Node) -> Answer:
    """Say whether this node serves, and else what is missing."""
    lacks = missing(node)
    status = HTTPStatus.SERVICE_UNAVAILABLE if lacks else HTTPStatus.OK
    return Answer.of(status, {"ready": not lacks, "missing": lacks, "node": node.name, "position": node.feed.position})


class _Numbers:
    """What Prometheus collects, read from the node when it asks: of every worker of its host, if there are several."""

    def __init__(self, node: Node) -> None:
        others = node.feed.of_host if isinstance(node.feed, WorkerFeed) else []
        every = [numbers.count(node), *(each for each in others if each.node != node.name)]
        self._all = sorted(every, key=lambda each: each.node)

    def collect(self) -> list[Metric]:
        """Return the numbers as they are now."""
        label = ["worker"] if lease.worker(self._all[0].node) else []
        decisions = CounterMetricFamily(
            "mandate_decisions", "Decisions by effect and code.", labels=["effect", "code", *label]
        )
        gauges = [GaugeMetricFamily(name, meaning, labels=label) for name, meaning in _GAUGES]
        lost = CounterMetricFamily("mandate_lost_endings", "Endings that were not recorded.", labels=label)
        for each in self._all:
            worker = [lease.worker(each.node)] if label else []
            for effect, code, count in each.decisions:
                decisions.add_metric([effect, code, *worker], count)
            age = min(time.monotonic() - each.began, 1e9)
            values = (age, each.position, int(each.is_listening), each.snapshots, each.opened)
            for gauge, value in zip(gauges, values, strict=True):
                gauge.add_metric(worker, value)
            lost.add_metric(worker, each.lost)
        return [decisions, *gauges, lost, *_systems(self._all, label)]


def _systems(numbers_of: list[Numbers], label: list[str]) -> list[Metric]:
    """Return what is known of each system that calls wait for, or that is paused."""
    named = ["system", *label]
    waiting = GaugeMetricFamily("mandate_upstream_calls", "Calls that wait for a system.", labels=named)
    paused = GaugeMetricFamily("mandate_upstream_paused", "1 where calls of a system are paused.", labels=named)
    refused = CounterMetricFamily(
        "mandate_upstream_refused", "Calls that were not sent, by system and code.", labels=["system", "code", *label]
    )
    for each in numbers_of:
        worker = [lease.worker(each.node)] if label else []
        for system, calls, is_paused in each.waiting:
            waiting.add_metric([system, *worker], calls)
            paused.add_metric([system, *worker], int(is_paused))
        for system, code, count in each.refused:
            refused.add_metric([system, code, *worker], count)
    return [waiting, paused, refused]


def metrics(node: Node, authorization: str) -> Answer:
    """Return the numbers for Prometheus to a caller who may read them."""
    if refused := monitoring.refusal(authorization):
        return Answer(refused, b"", ((b"www-authenticate", b"Bearer"),))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Numbers(node))
    return Answer(HTTPStatus.OK, generate_latest(registry), (_TEXT,))
