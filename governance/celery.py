"""The task queue: JSON only, no results, acknowledged when done. Tasks live in each floor's `tasks.py`.

What the queue is for: sweeps at a fixed time, and long work that people started. What has to follow within a moment is
the loop's (`governance/worker/loop.py`). Queues and their urgency: `governance/worker/queues.py`.
"""

import os
from datetime import datetime
from typing import Any

from celery import Celery, signals
from kombu.entity import Exchange, Queue

from governance.worker import backlog, queues

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")

app = Celery("mandate")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.task_default_queue = queues.SWEEPS
app.conf.task_queues = [
    Queue(name, Exchange(name), routing_key=name)  # type: ignore[no-untyped-call]
    for name in queues.ALL
]
app.conf.task_routes = {task: {"queue": queue} for task, queue in queues.ROUTES.items()}
app.autodiscover_tasks()


@signals.celeryd_init.connect
def read_each_queue(**_: Any) -> None:  # noqa: ANN401 - celery's
    """Read each queue by itself. No other process needs what a worker is made of."""
    from governance.worker import pool  # noqa: PLC0415 - as said

    app.steps["consumer"].add(pool.Readers)


@signals.before_task_publish.connect
def stamp_messages(headers: dict[str, Any], **_: Any) -> None:  # noqa: ANN401 - celery's
    """Let each message say how long it has waited."""
    backlog.stamp(headers)


@signals.worker_init.connect
def refuse_asynchronous_commits(**_: Any) -> None:  # noqa: ANN401 - celery's
    """End the worker, with a sentence, where what it commits would not survive a failover."""
    from django.conf import settings  # noqa: PLC0415 - the settings are known only in a running worker

    from audit.database import replication  # noqa: PLC0415 - as above

    replication.refuse(settings.DATABASES["default"])


@signals.worker_init.connect
def trust_no_clock(**_: Any) -> None:  # noqa: ANN401 - celery's
    """In a worker every job measures the clock first; one that is wrong ends no right before its time."""
    from audit import clock  # noqa: PLC0415 - the settings are known only in a running worker

    clock.require_measured()


@signals.worker_init.connect
def export_spans(**_: Any) -> None:  # noqa: ANN401 - celery's
    """Let spans of this process go to the collector, where there is one; it sends what is left when it ends."""
    from entitlements.traces import telemetry  # noqa: PLC0415 - as above

    telemetry.start("mandate-worker")
    signals.worker_shutdown.connect(lambda **_: telemetry.stop(), weak=False)


@signals.task_prerun.connect
def measure_the_clock(**_: Any) -> None:  # noqa: ANN401 - celery's
    """Measure before a job; where the clock stays unknown a job that asks for the time fails, and is done later."""
    from governance.operations import health  # noqa: PLC0415 - as above

    health.knows_the_time()


@signals.setup_logging.connect
def keep_our_logging(**_: Any) -> None:  # noqa: ANN401 - celery's
    """Let Celery set up no logging: Django's settings already write each line as JSON."""


@signals.worker_ready.connect
def make_missing_keys(**_: Any) -> None:  # noqa: ANN401 - celery's
    """Look at the signing keys once a worker is up: a new installation issues tokens before the first sweep."""
    app.send_task("entitlements.tasks.rotate_signing_keys")


@signals.worker_ready.connect
def start_loop(**_: Any) -> None:  # noqa: ANN401 - celery's
    """Do what has to follow within a moment, in threads of this process, until the worker stops."""
    from django.conf import settings  # noqa: PLC0415 - as above

    from audit.database import libpq  # noqa: PLC0415 - as above
    from governance.worker import jobs  # noqa: PLC0415 - as above
    from governance.worker.loop import Loop  # noqa: PLC0415 - as above

    def run(task: str) -> datetime | None:
        measure_the_clock()
        due: datetime | None = app.tasks[task]()
        return due

    loop = Loop(libpq.address(settings.FEED_DATABASE), jobs.JOBS, run)
    loop.start()
    signals.worker_shutdown.connect(lambda **_: loop.stop(), weak=False)


@signals.beat_init.connect
def show_that_beat_is_alive(**_: Any) -> None:  # noqa: ANN401 - celery's
    """Touch the file of the health check with each message that beat sends: one every ten seconds or sooner."""
    from audit import alive  # noqa: PLC0415 - as above

    signals.after_task_publish.connect(lambda **_: alive.touch(), weak=False)


MINUTE, HOUR = 60.0, 3600.0
EVERY = {
    # Seconds between two messages. A lost one costs nothing: each job finds whatever is due.
    "entitlements.tasks.expire_grants": 10.0,
    "entitlements.tasks.forget_security_events": HOUR,
    "entitlements.tasks.forget_old_history": HOUR,
    "entitlements.tasks.end_agents": MINUTE,
    "entitlements.tasks.look_after_clients": HOUR,
    "entitlements.tasks.lapse_credentials": HOUR,
    "entitlements.tasks.look_at_issuer_keys": 5 * MINUTE,
    "entitlements.tasks.end_roles": HOUR,
    "entitlements.tasks.settle_revocations": 10.0,
    "entitlements.tasks.look_after_connected_accounts": 10.0,
    "entitlements.tasks.count_strangers": MINUTE,
    "entitlements.tasks.queue_discovery_runs": MINUTE,
    "entitlements.tasks.discover_all": MINUTE,
    "entitlements.tasks.resume_imports": MINUTE,
    "entitlements.tasks.rotate_signing_keys": 5 * MINUTE,
    "entitlements.tasks.forget_used_assertions": 10 * MINUTE,
    "entitlements.tasks.forget_node_messages": MINUTE,
    "entitlements.tasks.forget_ended_sessions": HOUR,
    "entitlements.tasks.forget_idempotent_answers": HOUR,
    "governance.tasks.clear_sessions": HOUR,
    "governance.tasks.make_event_months": 24 * HOUR,
    "governance.tasks.expire_requests": MINUTE,
    "governance.tasks.tell_people": MINUTE,
    "governance.tasks.reroute_requests": 24 * HOUR,
    "governance.tasks.escalate_requests": 10 * MINUTE,
    "governance.tasks.look_after_orphans": MINUTE,
    "governance.tasks.warn_of_old_credentials": HOUR,
    "governance.tasks.end_exceptions": MINUTE,
    "governance.tasks.open_emergency_reviews": MINUTE,
    "governance.tasks.look_after_unused": HOUR,
    "governance.tasks.launch_recurring": MINUTE,
    "governance.tasks.prove_removals": MINUTE,
    "governance.tasks.roll_up_usage": 10 * MINUTE,
    "governance.tasks.count_observed_calls": MINUTE,
    "governance.tasks.forget_timings": 10 * MINUTE,
    "governance.tasks.apply_deadlines": 15 * MINUTE,
    "governance.tasks.open_micro_reviews": MINUTE,
    "governance.tasks.look_for_causes": 10 * MINUTE,
    "governance.tasks.look_for_outages": 5 * MINUTE,
    "governance.tasks.put_tallies_together": MINUTE,
    "governance.tasks.count_figures": 10 * MINUTE,
    "governance.tasks.take_posture_snapshot": HOUR,
    "governance.tasks.summarise_agents": MINUTE,
    "governance.tasks.remind_reviewers": HOUR,
    "governance.tasks.reassign_leavers": 5 * MINUTE,
}
app.conf.beat_schedule = {
    # A message is worth nothing once the next one is sent: after an hour without a worker none of them counts.
    task.rpartition(".")[2].replace("_", "-"): {"task": task, "schedule": every, "options": {"expires": every}}
    for task, every in EVERY.items()
}
