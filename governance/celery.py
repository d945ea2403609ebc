"""The task queue: JSON only, no results, acknowledged when done. Tasks live in each floor's `tasks.py`."""

import os
from typing import Any

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")

app = Celery("mandate")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.worker_init.connect
def refuse_asynchronous_commits(**_: Any) -> None:  # noqa: ANN401 - celery's
    """End the worker, with a sentence, where what it commits would not survive a failover."""
    from django.conf import settings  # noqa: PLC0415 - the settings are known only in a running worker

    from audit.database import replication  # noqa: PLC0415 - as above

    replication.refuse(settings.DATABASES["default"])


@signals.worker_process_init.connect
def trust_no_clock(**_: Any) -> None:  # noqa: ANN401 - celery's
    """In a worker every job measures the clock first; one that is wrong ends no right before its time."""
    from audit import clock  # noqa: PLC0415 - the settings are known only in a running worker

    clock.require_measured()


@signals.worker_process_init.connect
def export_spans(**_: Any) -> None:  # noqa: ANN401 - celery's
    """Let spans of this process go to the collector, where there is one; it sends what is left when it ends."""
    from entitlements.traces import telemetry  # noqa: PLC0415 - as above

    telemetry.start("mandate-worker")
    signals.worker_process_shutdown.connect(lambda **_: telemetry.stop(), weak=False)


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


@signals.heartbeat_sent.connect
def show_that_the_worker_is_alive(**_: Any) -> None:  # noqa: ANN401 - celery's
    """Touch the file of the health check every two seconds, while the worker reaches the queue."""
    from audit import alive  # noqa: PLC0415 - as above

    alive.touch()


@signals.beat_init.connect
def show_that_beat_is_alive(**_: Any) -> None:  # noqa: ANN401 - celery's
    """Touch the file of the health check with each message that beat sends: one every ten seconds or sooner."""
    from audit import alive  # noqa: PLC0415 - as above

    signals.after_task_publish.connect(lambda **_: alive.touch(), weak=False)


MINUTE, HOUR = 60.0, 3600.0
app.conf.beat_schedule = {
    # Seconds between two messages. A lost one costs nothing: each job finds whatever is due.
    "expire-grants": {"task": "entitlements.tasks.expire_grants", "schedule": 10.0},
    "follow-security-events": {"task": "entitlements.tasks.follow_security_events", "schedule": 1.0},
    "transmit-security-events": {"task": "entitlements.tasks.transmit_security_events", "schedule": 1.0},
    "push-security-events": {"task": "entitlements.tasks.push_security_events", "schedule": 1.0},
    "poll-security-events": {"task": "entitlements.tasks.poll_security_events", "schedule": 1.0},
    "forget-security-events": {"task": "entitlements.tasks.forget_security_events", "schedule": HOUR},
    "detect-drift": {"task": "entitlements.tasks.detect_drift", "schedule": 1.0},
    "forget-old-history": {"task": "entitlements.tasks.forget_old_history", "schedule": HOUR},
    "end-agents": {"task": "entitlements.tasks.end_agents", "schedule": MINUTE},
    "look-after-clients": {"task": "entitlements.tasks.look_after_clients", "schedule": HOUR},
    "lapse-credentials": {"task": "entitlements.tasks.lapse_credentials", "schedule": HOUR},
    "look-at-issuer-keys": {"task": "entitlements.tasks.look_at_issuer_keys", "schedule": 5 * MINUTE},
    "end-roles": {"task": "entitlements.tasks.end_roles", "schedule": HOUR},
    "settle-revocations": {"task": "entitlements.tasks.settle_revocations", "schedule": 10.0},
    "look-after-connected-accounts": {"task": "entitlements.tasks.look_after_connected_accounts", "schedule": 10.0},
    "measure-foreign-tokens": {"task": "entitlements.tasks.measure_foreign_tokens", "schedule": 10.0},
    "count-strangers": {"task": "entitlements.tasks.count_strangers", "schedule": MINUTE},
    "discover-agents": {"task": "entitlements.tasks.queue_discovery_runs", "schedule": MINUTE},
    "discover-tools": {"task": "entitlements.tasks.discover_all", "schedule": MINUTE},
    "compare-definitions": {"task": "entitlements.tasks.compare_definitions", "schedule": 1.0},
    "watch-documents": {"task": "entitlements.tasks.watch_documents", "schedule": 5.0},
    "resume-imports": {"task": "entitlements.tasks.resume_imports", "schedule": MINUTE},
    "rotate-signing-keys": {"task": "entitlements.tasks.rotate_signing_keys", "schedule": 5 * MINUTE},
    "forget-used-assertions": {"task": "entitlements.tasks.forget_used_assertions", "schedule": 10 * MINUTE},
    "forget-node-messages": {"task": "entitlements.tasks.forget_node_messages", "schedule": MINUTE},
    "forget-ended-sessions": {"task": "entitlements.tasks.forget_ended_sessions", "schedule": HOUR},
    "forget-idempotent-answers": {"task": "entitlements.tasks.forget_idempotent_answers", "schedule": HOUR},
    "clear-sessions": {"task": "governance.tasks.clear_sessions", "schedule": HOUR},
    "make-event-months": {"task": "governance.tasks.make_event_months", "schedule": 24 * HOUR},
    "expire-requests": {"task": "governance.tasks.expire_requests", "schedule": MINUTE},
    "tell-people": {"task": "governance.tasks.tell_people", "schedule": 10.0},
    "send-notices": {"task": "governance.tasks.send_notices", "schedule": 10.0},
    "post-chat-messages": {"task": "governance.tasks.post_chat_messages", "schedule": 10.0},
    "post-webhooks": {"task": "governance.tasks.post_webhooks", "schedule": 10.0},
    "reroute-requests": {"task": "governance.tasks.reroute_requests", "schedule": 24 * HOUR},
    "escalate-requests": {"task": "governance.tasks.escalate_requests", "schedule": 10 * MINUTE},
    "look-after-orphans": {"task": "governance.tasks.look_after_orphans", "schedule": MINUTE},
    "warn-of-old-credentials": {"task": "governance.tasks.warn_of_old_credentials", "schedule": HOUR},
    "end-exceptions": {"task": "governance.tasks.end_exceptions", "schedule": MINUTE},
    "open-emergency-reviews": {"task": "governance.tasks.open_emergency_reviews", "schedule": MINUTE},
    "look-after-unused": {"task": "governance.tasks.look_after_unused", "schedule": HOUR},
    "resume-staging": {"task": "governance.tasks.resume_staging", "schedule": 10.0},
    "resume-what-ifs": {"task": "governance.tasks.resume_what_ifs", "schedule": 10.0},
    "resume-sealing": {"task": "governance.tasks.resume_sealing", "schedule": 10.0},
    "launch-recurring": {"task": "governance.tasks.launch_recurring", "schedule": MINUTE},
    "prove-removals": {"task": "governance.tasks.prove_removals", "schedule": MINUTE},
    "roll-up-usage": {"task": "governance.tasks.roll_up_usage", "schedule": 10 * MINUTE},
    "count-observed-calls": {"task": "governance.tasks.count_observed_calls", "schedule": MINUTE},
    "look-for-newer-signals": {"task": "governance.tasks.look_for_newer_signals", "schedule": 10 * MINUTE},
    "forget-timings": {"task": "governance.tasks.forget_timings", "schedule": 10 * MINUTE},
    "apply-deadlines": {"task": "governance.tasks.apply_deadlines", "schedule": 15 * MINUTE},
    "open-micro-reviews": {"task": "governance.tasks.open_micro_reviews", "schedule": MINUTE},
    "follow-decoys": {"task": "governance.tasks.follow_decoys", "schedule": 1.0},
    "detect-risk": {"task": "governance.tasks.detect_risk", "schedule": 10.0},
    "look-for-causes": {"task": "governance.tasks.look_for_causes", "schedule": 10 * MINUTE},
    "look-for-outages": {"task": "governance.tasks.look_for_outages", "schedule": 5 * MINUTE},
    "put-tallies-together": {"task": "governance.tasks.put_tallies_together", "schedule": MINUTE},
    "count-figures": {"task": "governance.tasks.count_figures", "schedule": 10 * MINUTE},
    "take-posture-snapshot": {"task": "governance.tasks.take_posture_snapshot", "schedule": HOUR},
    "summarise-agents": {"task": "governance.tasks.summarise_agents", "schedule": MINUTE},
    "remind-reviewers": {"task": "governance.tasks.remind_reviewers", "schedule": HOUR},
    "reassign-leavers": {"task": "governance.tasks.reassign_leavers", "schedule": 5 * MINUTE},
}
