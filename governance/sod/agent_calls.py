"""The verbs on which agent may hand work to which: allow it, end it."""

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
    """An agent does not call itself."""

    code, status = "agent_calls_itself", HTTPStatus.UNPROCESSABLE_ENTITY


class CallAllowed(DomainError):
    """The one agent may call the other already."""

    code, status = "agent_call_allowed_already", HTTPStatus.CONFLICT


class CallEnded(DomainError):
    """The one agent may no longer call the other."""

    code, status = "agent_call_ended_already", HTTPStatus.CONFLICT


@transaction.atomic
def allow(caller: Agent, callee: Agent, *, by: Principal, reason: str) -> AgentCall:
    """Let one agent hand work to another, directly or through others in a ring.

    Raises ReasonRequired, CallsItself, CallAllowed, and separation.CombinationCompleted when the caller, or one that
    may call it, would then hold a combination without an exception.
    """
    if not reason.strip():
        raise ReasonRequired
    if caller.pk == callee.pk:
        raise CallsItself
    check.check_call(caller, callee)
    try:
        with transaction.atomic():
            made = AgentCall.objects.create(caller=caller, callee=callee, reason=reason, made_at=clock.now())
    except IntegrityError as error:
        raise CallAllowed from error
    log.record(Action.AGENT_CALL_ALLOWED, about=about(made), by=by, reason=reason)
    return made


@transaction.atomic
def end(call_id: UUID, *, by: Principal, reason: str) -> AgentCall:
    """Let one agent no longer hand work to another. Raises NotFound, ReasonRequired, CallEnded."""
    if not reason.strip():
        raise ReasonRequired
    found = (
        AgentCall.objects.select_for_update(of=("self",)).select_related("caller", "callee").filter(pk=call_id).first()
    )
    if found is None:
        raise NotFound
    if found.ended_at is not None:
        raise CallEnded
    found.ended_at, found.end_reason = clock.now(), reason
    found.save(update_fields=["ended_at", "end_reason"])
    log.record(Action.AGENT_CALL_ENDED, about=about(found), by=by, reason=reason)
    return found


def about(call: AgentCall) -> list[str]:
    """Return the links by which the record of a call is found again."""
    return [f"agent_call:{call.pk}", f"agent:{call.caller.slug}", f"agent:{call.callee.slug}"]
