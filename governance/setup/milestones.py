"""How far a new installation is on the way to its first governed call and its revocation, by rows and audit log."""

from __future__ import annotations

from typing import Final

from django.db.models import Min, Q
from django.utils.translation import gettext as _

from audit.actions import Action
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.catalog.models import System, Tool
from entitlements.clients.models import Client
from entitlements.revocation.models import Revocation
from governance.setup.models import SetupCheck

from .readiness import Progress, State

_Line: Final = SetupCheck.Line


def first_system() -> System | None:
    """Return the system that has come furthest: with an approved tool, else the first."""
    rows = System.objects.exclude(kind=System.Kind.BUILTIN).annotate(
        approved_at=Min("tools__approved__approved_at", filter=Q(tools__state=Tool.State.APPROVED))
    )
    return rows.order_by("approved_at", "created_at").first()


def system() -> State:
    """Return whether a system is registered, its tools found, and one of them approved."""
    furthest = first_system()
    if furthest is None:
        return State(_Line.SYSTEM, Progress.NOT_YET, _("No system is registered yet."))
    values = {"name": furthest.name}
    if furthest.discovered_at is None:
        return State(_Line.SYSTEM, Progress.NOT_YET, _("%(name)s was not asked for its tools yet.") % values)
    since = getattr(furthest, "approved_at", None)
    if since is None:
        return State(_Line.SYSTEM, Progress.NOT_YET, _("No tool of %(name)s is approved yet.") % values)
    return State(
        _Line.SYSTEM, Progress.GREEN, _("%(name)s is registered, and tools of it are approved.") % values, since
    )


def first_agent() -> Agent | None:
    """Return the agent that has come furthest: in use and with a client, else the first."""
    rows = Agent.objects.annotate(client_at=Min("clients__created", filter=Q(clients__status=Client.Status.ACTIVE)))
    active = rows.filter(status=Agent.Status.ACTIVE)
    return active.order_by("client_at", "created_at").first() or rows.order_by("created_at").first()


def agent() -> State:
    """Return whether an agent is in use and has a client."""
    furthest = first_agent()
    if furthest is None:
        return State(_Line.AGENT, Progress.NOT_YET, _("No agent is registered yet."))
    values = {"name": furthest.name}
    if furthest.status != Agent.Status.ACTIVE:
        return State(_Line.AGENT, Progress.NOT_YET, _("%(name)s is not in use.") % values)
    since = getattr(furthest, "client_at", None)
    if since is None:
        return State(_Line.AGENT, Progress.NOT_YET, _("%(name)s has no client yet.") % values)
    return State(_Line.AGENT, Progress.GREEN, _("%(name)s is in use and has a client.") % values, since)


def first_event(action: Action) -> Event | None:
    """Return the first event of a kind."""
    return Event.objects.filter(action=action).order_by("at").first()


def client() -> State:
    """Return whether any client was given a token."""
    event = first_event(Action.TOKEN_ISSUED)
    if event is None:
        return State(_Line.CLIENT, Progress.NOT_YET, _("No token was issued yet."))
    return State(
        _Line.CLIENT, Progress.GREEN, _("A client of %(who)s was given a token.") % {"who": event.actor}, event.at
    )


def call() -> State:
    """Return whether any call was allowed."""
    event = first_event(Action.CALL_ALLOWED)
    if event is None:
        return State(_Line.CALL, Progress.NOT_YET, _("No call was allowed yet."))
    tool = next((link.removeprefix("tool:") for link in event.about if link.startswith("tool:")), "")
    sentence = _("%(who)s called %(tool)s.") % {"who": event.actor, "tool": tool}
    return State(_Line.CALL, Progress.GREEN, sentence, event.at)


def first_stop() -> Revocation | None:
    """Return the first revocation after an allowed call that every node obeyed, with its receipt."""
    called = first_event(Action.CALL_ALLOWED)
    if called is None:
        return None
    settled = Revocation.objects.filter(committed_at__gt=called.at, missing=[]).exclude(receipt="")
    return settled.exclude(acknowledged=[]).order_by("committed_at").first()


def stop() -> State:
    """Return whether a revocation followed an allowed call, with the acknowledgement of every gateway node."""
    revocation = first_stop()
    if revocation is None:
        return State(_Line.STOP, Progress.NOT_YET, _("Nothing was stopped after an allowed call yet."))
    values = {"n": len(revocation.acknowledged), "what": f"{revocation.target_type}:{revocation.target_id}"}
    sentence = _("%(what)s was stopped, and all %(n)d gateway nodes obeyed.") % values
    return State(_Line.STOP, Progress.GREEN, sentence, revocation.committed_at)
