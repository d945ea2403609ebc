"""The jobs of this floor. Each takes ids or nothing, may run twice at once, and tidies what is enforced elsewhere."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from celery import shared_task

from audit import clock, refusals
from audit.context import SYSTEM

from . import addresses, answers, assertions, catalog, grants, revocation, signing, upstream
from .errors import DomainError
from .models import Revocation, System

DISCOVERED: tuple[str, ...] = (System.Kind.MCP_GATEWAY,)
"""The kinds of system whose tools we list ourselves."""
UNSETTLED = timedelta(seconds=10)
"""After this long nobody waits for the nodes of a revocation any more: whoever did went away."""

logger = logging.getLogger(__name__)


@shared_task(ignore_result=True)
def expire_grants() -> None:
    """Expire until nothing is due. Two at once share the work; a lost message is made up by the next tick."""
    while grants.expire_due():
        pass


@shared_task(ignore_result=True)
def discover_tools(system_id: int) -> None:
    """Ask one system for its tools and compare them with the pins. A system that does not answer changes nothing."""
    system = System.objects.filter(pk=system_id, status=System.Status.ACTIVE, kind__in=DISCOVERED).first()
    if system is None:
        return
    try:
        raw = asyncio.run(upstream.discover(system))
        catalog.record_seen(system, raw, by=SYSTEM)
    except DomainError as refusal:
        logger.warning("discovery failed", extra={"system": system.slug, "code": str(refusal.code)})


@shared_task(ignore_result=True)
def discover_all() -> None:
    """Have every active system asked for its tools: this is how a changed definition is noticed."""
    systems = System.objects.filter(status=System.Status.ACTIVE, kind__in=DISCOVERED)
    for system_id in systems.order_by("discovered_at", "pk").values_list("pk", flat=True):
        discover_tools.delay(system_id)


@shared_task(ignore_result=True)
def settle_revocations() -> None:
    """Give each revocation whose caller went away its receipt."""
    for left in Revocation.objects.filter(receipt="", committed_at__lt=clock.now() - UNSETTLED):
        revocation.settle(left)


@shared_task(ignore_result=True)
def rotate_signing_keys() -> None:
    """Take the step that is due in the life of each issuer's keys."""
    signing.rotate_due(addresses.IDP)
    for slug in System.objects.order_by("slug").values_list("slug", flat=True):
        signing.rotate_due(addresses.issuer_path(slug))


@shared_task(ignore_result=True)
def forget_used_assertions() -> None:
    """Delete the claims of assertions that are dead anyway."""
    while assertions.forget_expired():
        pass


@shared_task(ignore_result=True)
def forget_idempotent_answers() -> None:
    """Delete the answers that no retry will ask for any more."""
    while answers.forget_old():
        pass


@shared_task(ignore_result=True)
def count_strangers() -> None:
    """Turn the counts of failed sign-ins of minutes that are over into events."""
    while refusals.close_minutes():
        pass
