"""The jobs of this floor. Each takes ids or nothing, may run twice at once, and tidies what is enforced elsewhere.

Those that the worker's loop runs return when they have more to do, where they know.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import datetime, timedelta
from uuid import UUID

from celery import shared_task
from django.conf import settings

from audit import clock
from audit.context import SYSTEM
from audit.refusals import refusals
from entitlements.catalog.models import System
from entitlements.gateway.models import EndedClientSession, UpstreamSession
from entitlements.keys.models import SigningKey
from entitlements.node_messages.models import NodeMessage
from entitlements.revocation.models import Drill, Revocation

from . import addresses
from .agent_discovery import runs
from .agents import lifecycle
from .catalog import discovery, systems
from .catalog_files import imports
from .clients import acceptance
from .connected_accounts import accounts, connect
from .definition_watch import comparisons, discovery_schedule
from .drift import detect, history
from .errors import DomainError
from .event_streams import deliver, polls, transmit
from .foreign_tokens import account_ends, ends
from .grants import batches
from .idempotency import stored_answers as stored_answers_api
from .keys import chosen, session_keys, signing
from .name_collisions import collisions
from .people import roles
from .rest_apis import document_watch, rest_apis
from .revocation import record_keys, revocation
from .risk import follow
from .stdio_commands import systems as stdio_systems
from .token_families import person_sign_ins
from .tokens import assertions
from .trusted_issuers import watch
from .upstream import reach, upstream

UNSETTLED = timedelta(seconds=10)
"""After this long no caller waits for the nodes of a revocation any more."""
KEPT_FOR = timedelta(days=1)
"""How long the row of an ended upstream session says when it ended."""

logger = logging.getLogger(__name__)


@shared_task(ignore_result=True)
def expire_grants() -> None:
    """Expire until nothing is due. Two at once share the work; a lost message is made up by the next tick."""
    while batches.expire_due():
        pass


@shared_task(ignore_result=True)
def follow_security_events() -> None:
    """Follow the security events that wait: each becomes a risk signal. Two at once share the work."""
    while follow.follow_waiting():
        pass


@shared_task(ignore_result=True)
def transmit_security_events() -> None:
    """Put what the audit log tells into the streams of receivers. A second one at once finds nothing to read."""
    while transmit.listen():
        pass


@shared_task(ignore_result=True)
def push_security_events() -> datetime | None:
    """Push what waits in streams. Two at once share the streams."""
    while deliver.deliver_next():
        pass
    return deliver.next_due()


@shared_task(ignore_result=True)
def poll_security_events() -> datetime | None:
    """Poll the streams of trusted issuers that are due. Two at once share them."""
    while polls.poll_next():
        pass
    return polls.next_due()


@shared_task(ignore_result=True)
def forget_security_events() -> None:
    """Delete security events that were followed, or stood in a stream, long ago."""
    while follow.forget_old() or transmit.forget_old():
        pass


@shared_task(ignore_result=True)
def detect_drift() -> None:
    """Read the sealed events for drift, until none are left. Of two at once the second leaves."""
    while detect.listen():
        pass


@shared_task(ignore_result=True)
def forget_old_history() -> None:
    """Delete the history of agents and sessions that no detector of drift looks at any more."""
    while history.forget_old():
        pass


@shared_task(ignore_result=True)
def end_agents() -> None:
    """Retire ephemeral agents whose time is over."""
    while lifecycle.retire_ephemeral():
        pass


@shared_task(ignore_result=True)
def look_after_clients() -> None:
    """Hide, close and delete unused clients, and bring back those that are used again."""
    while lifecycle.advance_idle_clients():
        pass


@shared_task(ignore_result=True)
def lapse_credentials() -> None:
    """End credentials that were not accepted in time; they could not be accepted any longer before."""
    while acceptance.lapse_due():
        pass


@shared_task(ignore_result=True)
def look_at_issuer_keys() -> None:
    """Fetch the keys of trusted issuers, so that people hear of one that cannot be reached before it matters."""
    watch.look()


@shared_task(ignore_result=True)
def end_roles() -> None:
    """Put away the roles in Mandate that are over."""
    while roles.end_due():
        pass


@shared_task(ignore_result=True)
def discover_tools(system_id: int) -> None:
    """Ask one system for its tools and compare them with the pins. A system that does not answer is asked later."""
    system = discovery_schedule.find_discoverable(system_id)
    if system is None:
        return
    try:
        if system.kind == System.Kind.HTTP:
            rest_apis.discover(system, by=SYSTEM)
        else:
            discovery.record_discovery(system, asyncio.run(stdio_systems.discover(system)), by=SYSTEM)
    except DomainError as refusal:
        if isinstance(refusal, upstream.PartialList):
            discovery.record_discovery(system, refusal.listed, by=SYSTEM, complete=False)
        stage = reach.stage(refusal).value
        discovery_schedule.record_failure(system, stage)
        logger.warning("discovery failed", extra={"system": system.slug, "code": str(refusal.code), "stage": stage})


@shared_task(ignore_result=True)
def discover_all() -> None:
    """Have the systems asked whose turn it is: this is how a changed definition is noticed.

    A message that lies in the queue until the next turn has lost its sense, and expires.
    """
    while collisions.store_missing():
        pass
    for system_id in discovery_schedule.claim_due():
        discover_tools.apply_async((system_id,), expires=settings.DISCOVERY_EVERY.total_seconds())


@shared_task(ignore_result=True)
def compare_definitions() -> datetime | None:
    """Have the systems asked now whose tools a client listed, or which say that their tools changed."""
    for system_id in comparisons.claim_due():
        discover_tools.apply_async((system_id,), expires=settings.DISCOVERY_EVERY.total_seconds())
    return comparisons.next_due()


@shared_task(ignore_result=True)
def watch_documents() -> datetime | None:
    """Have the documents of REST APIs looked at whose turn it is."""
    for system_id in document_watch.claim_due():
        watch_document.apply_async((system_id,), expires=document_watch.EVERY.total_seconds())
    return document_watch.next_due()


@shared_task(ignore_result=True)
def watch_document(system_id: int) -> None:
    """Read the document of a REST API again where it changed. One that cannot be had now is left to its discovery."""
    with contextlib.suppress(DomainError):
        if document_watch.is_changed(system_id):
            discover_tools(system_id)


@shared_task(ignore_result=True)
def discover_agents(run_id: str) -> None:
    """Read a discovery source and finish its run; a run that another worker has is left alone."""
    runs.perform(UUID(run_id))


@shared_task(ignore_result=True)
def queue_discovery_runs() -> None:
    """Queue the runs of discovery sources that are due, and those whose message was lost or whose worker died."""
    for run_id in [*runs.claim_due(), *runs.stalled()]:
        discover_agents.delay(str(run_id))


@shared_task(ignore_result=True)
def run_import(import_id: str) -> None:
    """Take a confirmed catalogue in, batch by batch. After a worker dies `resume_imports` continues."""
    while imports.continue_import(UUID(import_id)):
        pass


@shared_task(ignore_result=True)
def resume_imports() -> None:
    """Continue imports whose worker died or whose message was lost, and delete those that were not confirmed."""
    for import_id in imports.stalled():
        run_import.delay(str(import_id))
    imports.delete_old_previews()


@shared_task(ignore_result=True)
def look_after_connected_accounts() -> None:
    """End accounts that are refused or that nothing stands behind; their tokens are revoked and tried at once."""
    accounts.end_without_right()
    accounts.end_refused()
    connect.forget_expired()
    measure_foreign_tokens()


@shared_task(ignore_result=True)
def measure_foreign_tokens() -> None:
    """Revoke and try the tokens of accounts that ended, and sign how they ended. Two at once share the work."""
    account_ends.settle_due()
    ends.settle_untried()
    ends.sign_due(record_keys.RECEIPTS)


@shared_task(ignore_result=True)
def settle_revocations() -> None:
    """Give each revocation and each drill whose caller went away its receipt."""
    for kind in (Revocation, Drill):
        for left in kind.objects.filter(receipt="", committed_at__lt=clock.now() - UNSETTLED):
            revocation.settle(left)


@shared_task(ignore_result=True)
def rotate_signing_keys() -> None:
    """Take the step that is due in the life of each issuer's keys. A new installation gets its built-in systems now."""
    systems.ensure_builtin()
    systems.ensure_all_systems()
    for algorithm in chosen.algorithms(addresses.IDP):
        signing.rotate_due(addresses.IDP, algorithm)
    signing.retire_unused(addresses.IDP)
    signing.rotate_due(session_keys.ISSUER)
    if settings.DYNAMIC_REGISTRATION:
        signing.rotate_due(session_keys.REGISTRATIONS)
    lazy = [*record_keys.ISSUERS, addresses.SIGNALS]  # made with their first use
    for issuer in SigningKey.objects.filter(issuer__in=lazy).values_list("issuer", flat=True).distinct():
        signing.rotate_due(issuer)
    # Of what is known and not governed nothing is issued.
    governed = System.objects.exclude(kind=System.Kind.KNOWN)
    for slug in governed.order_by("slug").values_list("slug", flat=True):
        signing.rotate_due(addresses.issuer_path(slug))


@shared_task(ignore_result=True)
def forget_used_assertions() -> None:
    """Delete the claims of assertions that are dead anyway."""
    while assertions.forget_expired():
        pass


@shared_task(ignore_result=True)
def forget_node_messages() -> None:
    """Delete what nodes kept for each other, once its time is over."""
    NodeMessage.objects.filter(expires_at__lt=clock.now()).delete()


@shared_task(ignore_result=True)
def forget_ended_sessions() -> None:
    """Delete ended client sessions whose names no node would open any more, and upstream sessions ended a day ago.

    Of sign-ins at clients that ended with time, the address that they were last used from is forgotten.
    """
    while person_sign_ins.forget_addresses_of_lapsed():
        pass
    now = clock.now()
    EndedClientSession.objects.filter(expires_at__lt=now).delete()
    UpstreamSession.objects.filter(ended_at__lt=now - KEPT_FOR).delete()


@shared_task(ignore_result=True)
def forget_idempotent_answers() -> None:
    """Delete the answers that no retry will ask for any more."""
    while stored_answers_api.forget_old():
        pass


@shared_task(ignore_result=True)
def count_strangers() -> None:
    """Turn the counts of failed sign-ins of minutes that are over into events."""
    while refusals.close_minutes():
        pass
