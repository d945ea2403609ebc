"""Actions on which agent may hand work to which: allow, end."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.agents.models import Agent
from entitlements.errors import DomainError, NotFound, ReasonRequired
from governance.sod.models import AgentCall

from . import check


class CallsItself(DomainError):
    """An agent cannot call itself. Name two different agents."""

    code, status = "agent_calls_itself", HTTPStatus.UNPROCESSABLE_ENTITY


class CallAllowed(DomainError):
    """The first agent may already call the second."""

    code, status = "agent_call_allowed_already", HTTPStatus.CONFLICT


class CallEnded(DomainError):
    """The permission to call has already ended."""

    code, status = "agent_call_ended_already", HTTPStatus.CONFLICT


@transaction.atomic
def allow(caller: Agent, callee: Agent, *, by: Principal, reason: str) -> AgentCall:
    """Let one agent hand work to another, directly or through others in a ring.

    Raises ReasonRequired, CallsItself, CallAllowed, and separation.SodPolicyViolated when the caller, or one that
    may call it, would then hold a combination without an exception.
    """
    if not reason.strip():
        raise ReasonRequired
    if caller.pk == callee.pk:
        raise CallsItself
    check.check_call(caller, callee)
    try:
        with transaction.atomic():
            call = AgentCall.objects.create(caller=caller, callee=callee, reason=reason, made_at=clock.now())
    except IntegrityError as error:
        raise CallAllowed from error
    log.record(Action.AGENT_CALL_ALLOWED, about=about(call), by=by, reason=reason)
    return call


@transaction.atomic
def end(call_id: UUID, *, by: Principal, reason: str) -> AgentCall:
    """Let one agent no longer hand work to another. Raises NotFound, ReasonRequired, CallEnded."""
    if not reason.strip():
        raise ReasonRequired
    call = (
        AgentCall.objects.select_for_update(of=("self",)).select_related("caller", "callee").filter(pk=call_id).first()
    )
    if call is None:
        raise NotFound
    if call.ended_at is not None:
        raise CallEnded
    call.ended_at, call.end_reason = clock.now(), reason
    call.save(update_fields=["ended_at", "end_reason"])
    log.record(Action.AGENT_CALL_ENDED, about=about(call), by=by, reason=reason)
    return call


def about(call: AgentCall) -> list[str]:
    """Return the audit log's links of a call."""
    return [f"agent_call:{call.pk}", f"agent:{call.caller.slug}", f"agent:{call.callee.slug}"]
