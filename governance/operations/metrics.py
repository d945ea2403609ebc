"""The numbers of the whole installation for Prometheus, read from the database and the queue when it asks.

The web process holds no counters of its own: there are several of them, and the record counts better. Each gateway node
serves its own numbers at its own `/metrics`. Names and meanings: `docs/operate/monitoring.md`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from audit import bodies, clock
from audit.database import replication
from audit.seals import stops
from entitlements import monitoring
from entitlements.event_streams import transmit
from governance.operations import invariants
from governance.worker import backlog

WINDOW: Final = timedelta(minutes=5)
RECHECK_SECONDS: Final = 60.0
"""Seconds between two checks of the invariants, however often the metrics are scraped."""
METRICS: Final = "/metrics"

_EVENTS: Final = f"""
SELECT action, {bodies.as_jsonb("body")} ->> 'code' AS code, count(*) FROM events
WHERE at > %s GROUP BY 1, 2
"""  # noqa: S608 - made of constants
_SEALING: Final = """
SELECT (SELECT count(*) FROM pending), (SELECT extract(epoch FROM %(now)s - min(at)) FROM pending),
       (SELECT extract(epoch FROM %(now)s - max(signed_at)) FROM checkpoints)
"""
_OUTSIDE: Final = """
SELECT extract(epoch FROM %(now)s - least(
    (SELECT min(at) FROM stops WHERE kept_at IS NULL),
    (SELECT min(p.at) FROM pending p JOIN events e ON e.at = p.at AND e.uuid = p.uuid WHERE e.action = ANY(%(stops)s))))
"""
_FEED: Final = """
SELECT n.id, extract(epoch FROM clock_timestamp() - n.polled_at),
       (SELECT coalesce(max(seq), 0) FROM entitlements_change) - n.position
FROM entitlements_gatewaynode n WHERE n.stopped_at IS NULL AND n.polled_at > clock_timestamp() - interval '10 minutes'
"""
_OVERDUE: Final = """
SELECT 'grant_expiry', extract(epoch FROM %(now)s - min(expires_at)) FROM entitlements_grant
 WHERE ended_at IS NULL AND expires_at <= %(now)s
UNION ALL
SELECT 'request_expiry', extract(epoch FROM %(now)s - min(answer_by)) FROM governance_accessrequest
 WHERE state = 'in_approval' AND answer_by <= %(now)s
UNION ALL
SELECT 'receipt', extract(epoch FROM %(now)s - min(committed_at)) FROM entitlements_revocation WHERE receipt = ''
"""

_STREAMS: Final = """
SELECT r.name, coalesce(extract(epoch FROM %(now)s - min(e.made_at)), 0)
  FROM entitlements_eventreceiver r JOIN entitlements_eventstream s ON s.receiver_id = r.id
  LEFT JOIN entitlements_streamevent e ON e.stream_id = s.id AND e.state = 'waiting' AND s.status = 'enabled'
 GROUP BY r.name
"""
_MONTHS: Final = """
SELECT coalesce(min(ahead) FILTER (WHERE to_regclass('events_' || to_char(month, 'YYYY_MM')) IS NULL), 61) - 1
  FROM generate_series(1, 60) AS ahead,
       LATERAL (SELECT date_trunc('month', %(now)s AT TIME ZONE 'UTC') + make_interval(months => ahead)) AS m (month)
"""


@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return the metrics to a caller with METRICS_TOKEN; 404 where it is not set, except in the demo."""
    if refused := monitoring.refusal(request.headers.get("Authorization", "")):
        return HttpResponse(status=refused, headers={"WWW-Authenticate": "Bearer"})
    try:
        return _text(_Numbers())
    except Error:
        return _text(_WithoutDatabase())


def without_database(authorization: str) -> HttpResponse:
    """Return, to the same callers, the numbers that need no database, while it does not answer."""
    if refused := monitoring.refusal(authorization):
        return HttpResponse(status=refused, headers={"WWW-Authenticate": "Bearer"})
    return _text(_WithoutDatabase())


def _text(numbers: Collector) -> HttpResponse:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(numbers)
    return HttpResponse(generate_latest(registry), content_type="text/plain; version=0.0.4; charset=utf-8")


class _WithoutDatabase(Collector):
    """What Prometheus collects while the database does not answer."""

    def collect(self) -> Iterator[Metric]:
        """Yield the numbers as they are now."""
        yield _database_up(is_up=False)
        yield from _queue()


class _Numbers(Collector):
    """What Prometheus collects."""

    def collect(self) -> Iterator[Metric]:
        """Yield the numbers as they are now."""
        yield _database_up(is_up=True)
        yield _labelled(
            "mandate_events_5m",
            "Events of the last five minutes, by action and, for refusals, code.",
            ["action", "code"],
            [((action, code), count) for action, code, count in _rows(_EVENTS, [clock.now() - WINDOW])],
        )
        pending, lag, age = _rows(_SEALING, {"now": clock.now()})[0]
        yield GaugeMetricFamily("mandate_sealing_pending", "Events that wait to be sealed.", value=pending)
        yield GaugeMetricFamily("mandate_sealing_lag_seconds", "Age of the oldest of them.", value=float(lag or 0))
        yield GaugeMetricFamily("mandate_checkpoint_age_seconds", "Since the last checkpoint.", value=float(age or 0))
        ((late,),) = _rows(_OUTSIDE, {"now": clock.now(), "stops": sorted(stops.STOPS)})
        yield GaugeMetricFamily(
            "mandate_stop_outside_lag_seconds", "Age of the oldest stop that an anchor lacks.", value=float(late or 0)
        )
        nodes = _rows(_FEED)
        yield _labelled(
            "mandate_node_lease_age_seconds",
            "Since each node's last poll, as the database saw it.",
            ["node"],
            [((name,), age) for name, age, _ in nodes],
        )
        yield _labelled(
            "mandate_node_feed_lag",
            "Changes that each node has not applied yet.",
            ["node"],
            [((name,), behind) for name, _, behind in nodes],
        )
        yield _labelled(
            "mandate_overdue_seconds",
            "How long the oldest due piece of work waits for the worker.",
            ["work"],
            [((work,), late or 0) for work, late in _rows(_OVERDUE, {"now": clock.now()})],
        )
        yield GaugeMetricFamily("mandate_event_months_ahead", "Months to come with a partition.", value=months_ahead())
        yield GaugeMetricFamily(
            "mandate_database_synchronous", "Whether a commit survives a failover.", value=float(not asynchronous())
        )
        yield from _event_streams()
        yield from _queue()
        yield _labelled(
            "mandate_invariant_violations",
            "What breaks each invariant, over the last hour.",
            ["invariant"],
            [((number,), count) for number, count in _violations()],
        )


def _database_up(*, is_up: bool) -> Metric:
    return GaugeMetricFamily("mandate_database_up", "Whether the database answers.", value=float(is_up))


def _queue() -> Iterator[Metric]:
    found = backlog.read()
    yield GaugeMetricFamily("mandate_queue_up", "Whether the queues answer.", value=float(found is not None))
    for name, meaning, values in (
        ("length", "Messages that wait in each queue.", [each.length for each in found or []]),
        ("waiting_seconds", "Age of the oldest of them.", [each.seconds for each in found or []]),
        ("behind", "Whether it has waited for longer than it may there.", [each.is_behind for each in found or []]),
    ):
        labels = [(each.queue,) for each in found or []]
        yield _labelled(f"mandate_queue_{name}", meaning, ["queue"], [*zip(labels, values, strict=True)])


def _event_streams() -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "mandate_event_streams_unread",
        "Sealed events that the transmitter has not read yet.",
        value=transmit.lag(),
    )
    yield _labelled(
        "mandate_event_stream_waiting_seconds",
        "Age of the oldest event that a receiver has not taken.",
        ["receiver"],
        [((name,), late) for name, late in _rows(_STREAMS, {"now": clock.now()})],
    )


def months_ahead() -> int:
    """Return how many months in a row after this one have a partition of events."""
    ((months,),) = _rows(_MONTHS, {"now": clock.now()})
    return int(months)


def asynchronous() -> replication.Problem | None:
    """Return why a commit would not survive a failover; a process asks at its start too, and refuses to serve then."""
    state = replication.of(_rows(replication.STATE)[0])
    return replication.problem(state, replication.Failover(settings.DATABASE_FAILOVER))


_known: list[tuple[float, list[tuple[str, int]]]] = []


def _violations() -> list[tuple[str, int]]:
    if not _known or time.monotonic() - _known[0][0] > RECHECK_SECONDS:
        counts = [
            (finding.invariant.id, finding.count) for finding in invariants.check(clock.now() - timedelta(hours=1))
        ]
        _known[:] = [(time.monotonic(), counts)]
    return _known[0][1]


def _labelled(
    name: str, meaning: str, labels: Sequence[str], values: Sequence[tuple[tuple[str, ...], Any]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for named, value in values:
        family.add_metric(named, float(value))
    return family


def _rows(query: str, values: Any = None) -> list[tuple[Any, ...]]:  # noqa: ANN401 - what the driver takes
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
