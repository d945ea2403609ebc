"""The jobs of floor 3. They only tidy up: every deadline is checked where it matters as well."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from celery import Task, shared_task

from audit import clock
from audit.retention import partitions
from governance.agents import summaries
from governance.approvals import auto_approval_checks
from governance.blast_radius.queries import departments
from governance.guardrails import observed
from governance.posture_report import snapshots
from governance.posture_report.queries import figures as posture
from governance.reviews.campaigns import sweeps as sweeps_actions
from governance.reviews.deadlines import deadlines
from governance.reviews.deadlines import reminders as reviewers
from governance.reviews.event_triggered import settlement, start, sweeps, triggers
from governance.reviews.items import best_effort, tallies
from governance.reviews.pack import seal
from governance.reviews.quality import measures, retention
from governance.reviews.reviewers import assignment
from governance.reviews.staging import staging
from governance.reviews.templates import templates
from governance.reviews.usage import coverage as coverage_actions
from governance.reviews.usage import usage

from .approvals import reminders, reroute
from .break_glass import break_glass
from .charts import figures
from .chat import delivery as chat_delivery
from .coverage_map import coverage_map
from .credential_policy import certificate_warnings, warnings
from .decoys import follow as decoys
from .mail import outbox
from .notices import listener
from .operations import outages
from .ownership import dormancy, leavers
from .requests import expiry, requests
from .risk import detectors
from .sign_in import sessions
from .sod import exceptions
from .token_health import groups
from .webhooks import delivery
from .what_if import what_if

TURN_SECONDS: Final = 30.0
RESUMED_EVERY: Final = timedelta(seconds=10)
_WHOLE_REVIEW: Final = {"soft_time_limit": 6 * 3600, "time_limit": 6 * 3600 + 60}
"""Limits in seconds of a task over a whole review, which may take hours. Redis delivers its message again meanwhile, as
if it were lost; the worker that gets it sees the lock and stops."""


@shared_task(ignore_result=True)
def clear_sessions() -> None:
    """Delete the sign-ins whose time is over, a thousand at a time."""
    while sessions.forget_expired():
        pass


@shared_task(ignore_result=True)
def make_event_months() -> None:
    """Make the partitions of events of the next twelve months, where one is missing. Two at once make one."""
    partitions.ensure_months()


@shared_task(ignore_result=True)
def expire_requests() -> None:
    """Expire requests without an answer in time, until none is due. Two at once share the work."""
    while expiry.expire_due():
        pass


@shared_task(ignore_result=True)
def reroute_requests() -> None:
    """Find other approvers for requests whose approver has left. Nightly, and after a person is disabled."""
    for request_id in requests.waiting_ids():
        reroute.reroute(request_id, reason="An approver may no longer answer.")


@shared_task(ignore_result=True)
def escalate_requests() -> None:
    """Escalate requests without an answer after half the time, and remind their approvers."""
    reroute.escalate_due()
    reminders.remind()


@shared_task(ignore_result=True)
def warn_of_old_credentials() -> None:
    """Warn those responsible of credentials and client certificates that end in 30 days, 7 days or a day, once each."""
    warnings.warn()
    certificate_warnings.warn()


@shared_task(ignore_result=True)
def end_exceptions() -> None:
    """Expire exceptions from SoD policies, and suspend the grants that ended exceptions covered."""
    while exceptions.expire_due():
        pass
    exceptions.settle()


@shared_task(ignore_result=True)
def open_emergency_reviews() -> None:
    """Open the reviews of break-glass access that has ended."""
    while break_glass.open_reviews():
        pass


@shared_task(ignore_result=True, **_WHOLE_REVIEW)
def stage_campaign(campaign_id: str) -> None:
    """Stage a campaign, step by step, a while at a time: then other tasks have their turn.

    After a worker's death `resume_staging` continues.
    """
    until = time.monotonic() + TURN_SECONDS
    while staging.advance(UUID(campaign_id)):
        if time.monotonic() > until:
            stage_campaign.delay(campaign_id)
            return


@shared_task(ignore_result=True)
def resume_staging() -> datetime | None:
    """Go on with stagings whose worker died or whose message was lost. Where one is at work, nothing happens."""
    return _resume(stage_campaign, staging.unfinished())


def _resume(task: Task, keys: list[UUID]) -> datetime | None:
    """Queue work that is not finished; until it is, that is looked after every RESUMED_EVERY."""
    for key in keys:
        task.apply_async((str(key),), expires=RESUMED_EVERY.total_seconds())
    return clock.now() + RESUMED_EVERY if keys else None


@shared_task(ignore_result=True, **_WHOLE_REVIEW)
def seal_evidence(campaign_id: str) -> None:
    """Seal the evidence of a campaign that was signed off. `resume_sealing` continues after a crash."""
    seal.resume(UUID(campaign_id))


@shared_task(ignore_result=True)
def resume_sealing() -> datetime | None:
    """Go on with sealings whose worker died, whose message was lost, or that waited for the audit log."""
    return _resume(seal_evidence, seal.unfinished())


@shared_task(ignore_result=True)
def launch_recurring() -> None:
    """Make the campaigns that recur today, and launch those that were staged. Two at once make one."""
    templates.launch_due()


@shared_task(ignore_result=True)
def prove_removals() -> None:
    """Carry out and prove the removals of reviews that are due, until none is, and close what waited for them."""
    while sweeps_actions.prove_due():
        pass


@shared_task(ignore_result=True)
def apply_deadlines() -> None:
    """Apply the deadlines of reviews: suspend access without an answer, and revoke what was not restored in time."""
    try:
        deadlines.apply_due()
    finally:
        deadlines.revoke_due()


@shared_task(ignore_result=True)
def open_micro_reviews() -> None:
    """Open event-triggered reviews, and close answered ones. A failing step does not stop the others."""
    _each(_hear_causes, settlement.settle_due, _open_causes)


@shared_task(ignore_result=True)
def detect_risk() -> None:
    """Read the sealed events for what tells of risk, until none are left."""
    while detectors.listen():
        pass


@shared_task(ignore_result=True)
def follow_decoys() -> None:
    """Follow the touches of decoys: each becomes a risk signal. End decoys whose name a tool has by now."""
    _each(decoys.follow_touches, decoys.end_taken)


@shared_task(ignore_result=True)
def look_for_causes() -> None:
    """Sweep for triggers without an event of their own, such as a first use; send notices of waiting auto-approvals."""
    _each(sweeps.find, _open_causes, auto_approval_checks.tell_due)


@shared_task(ignore_result=True)
def look_for_outages() -> None:
    """Record which anchor or connector is away or back, and whether a backup is overdue."""
    outages.look()


def _each(*steps: Callable[[], object]) -> None:
    best_effort.for_each(steps, lambda step: step())


def _hear_causes() -> None:
    while triggers.listen():
        pass


def _open_causes() -> None:
    while start.open_due():
        pass


@shared_task(ignore_result=True)
def look_after_orphans() -> None:
    """Propose new owners where an owner has left, and suspend agents without a new owner within a week."""
    leavers.propose_new_owners()
    while leavers.suspend_orphans():
        pass


@shared_task(ignore_result=True)
def look_after_unused() -> None:
    """Warn of unused agents, ask whether they are still needed, and suspend those that were not kept."""
    while dormancy.take_steps():
        pass
    while dormancy.suspend_unneeded():
        pass


@shared_task(ignore_result=True)
def roll_up_usage() -> None:
    """Add up the calls that were recorded since, until the end of the audit log is reached."""
    while usage.roll_up():
        pass


@shared_task(ignore_result=True)
def count_observed_calls() -> None:
    """Count the calls that observing guardrails would have changed, until the audit log is read to its end."""
    while observed.roll_up():
        pass


@shared_task(ignore_result=True)
def forget_timings() -> None:
    """Forget how long reviewers looked thirteen months ago: the first message after midnight (UTC) does it."""
    for campaign_id in retention.due():
        retention.forget(campaign_id)


@shared_task(ignore_result=True)
def put_tallies_together() -> None:
    """Make few rows of the many in which it is kept how far reviews have come."""
    tallies.compact()


@shared_task(ignore_result=True)
def count_figures() -> None:
    """Count what takes too long to be counted with every look, so that pages show it with its time."""
    if not coverage_actions.is_quick():
        figures.keep(coverage_actions.FIGURE, coverage_actions.count)
        figures.keep(coverage_map.FIGURE, coverage_map.count)
        figures.keep(departments.FIGURE, departments.count)
        figures.keep(posture.FIGURE, posture.count)
    groups.count()
    measures.count_due()


@shared_task(ignore_result=True)
def take_posture_snapshot() -> None:
    """Take the snapshot of the posture report for the month that ended, once. Two at once take one."""
    snapshots.take_due(posture.count)


@shared_task(ignore_result=True)
def summarise_agents() -> None:
    """Compute what the inventory shows of agents that changed, and in turn of the rest."""
    summaries.refresh_due()


@shared_task(ignore_result=True)
def reassign_leavers() -> None:
    """Find another reviewer wherever one has left."""
    while assignment.reassign_leavers():
        pass


@shared_task(ignore_result=True)
def remind_reviewers() -> None:
    """Remind reviewers with open items as the due date of a review comes nearer and goes by."""
    reviewers.remind()


@shared_task(ignore_result=True)
def queue_notices() -> None:
    """Queue the notices of what the audit log has recorded since. Of two at once the second leaves."""
    while listener.listen():
        pass


@shared_task(ignore_result=True)
def tell_people() -> None:
    """Remind people of access that ends, and queue the digest mails that are due."""
    queue_notices()
    listener.remind()
    outbox.post_digests()


@shared_task(ignore_result=True)
def send_notices() -> datetime | None:
    """Send the mail that is due, one after the other, until none is. Two at once share the work."""
    while outbox.send_one():
        pass
    return outbox.next_due()


@shared_task(ignore_result=True)
def post_webhooks() -> datetime | None:
    """Send the messages to endpoints that are due, until none is. Two at once share the work."""
    while delivery.send_next():
        pass
    return delivery.next_due()


@shared_task(ignore_result=True)
def post_chat_messages() -> datetime | None:
    """Send the chat messages that are due, until none is. Two at once share the work."""
    while chat_delivery.send_next():
        pass
    return chat_delivery.next_due()


@shared_task(ignore_result=True, **_WHOLE_REVIEW)
def read_what_if(key: str) -> None:
    """Replay a change over recorded calls, a part at a time, a while in one go: then other tasks have their turn."""
    until = time.monotonic() + TURN_SECONDS
    while what_if.advance(UUID(key)):
        if time.monotonic() > until:
            read_what_if.delay(key)
            return


@shared_task(ignore_result=True)
def resume_what_ifs() -> datetime | None:
    """Go on with replays whose worker died or whose message was lost. Where one is at work, nothing happens."""
    return _resume(read_what_if, what_if.unfinished())
