"""Suspending or revoking several rows of a list: what it would reach, a reason, and the result of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from entitlements.access.caller import Caller
from entitlements.agents import actions as agents
from entitlements.agents.models import Agent
from entitlements.api.actions import Action, Subject
from entitlements.errors import DomainError, Malformed
from entitlements.grants import actions as grants
from entitlements.grants.models import Grant
from entitlements.revocation import effects, tickets
from entitlements.sessions import actions as sessions
from entitlements.sessions.models import Session
from governance.console import doors
from governance.console.kit.lists import selection

from .stop import name_of


@dataclass(frozen=True, slots=True)
class StopAction:
    """One action on a row, and the label of its button."""

    action: Action
    label: Any
    is_last: bool = False
    """Whether it cannot be undone."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of rows in a list: how they are read, and the actions on them."""

    subject: Subject
    model: type[Grant | Agent | Session]
    key: str
    acts: dict[str, StopAction]
    page: str
    title: Any


KINDS: Final = {
    "grant": Kind(
        grants.GRANT,
        Grant,
        "pk",
        {
            "pause": StopAction(grants.SUSPEND, gettext_lazy("Suspend")),
            "remove": StopAction(grants.REVOKE, gettext_lazy("Revoke for good"), is_last=True),
        },
        "grant-list",
        gettext_lazy("Suspend or revoke this access?"),
    ),
    "agent": Kind(
        agents.AGENT,
        Agent,
        "slug",
        {"stop": StopAction(agents.SUSPEND, gettext_lazy("Suspend these agents"))},
        "agent-list",
        gettext_lazy("Suspend these agents?"),
    ),
    "session": Kind(
        sessions.SESSION,
        Session,
        "pk",
        {"end": StopAction(sessions.END, gettext_lazy("End these sessions"), is_last=True)},
        "session-list",
        gettext_lazy("End these sessions?"),
    ),
}


def stoppable(caller: Caller, kind: str, rows: Sequence[Any]) -> set[Any]:
    """Return the keys of the rows of a list that the caller may suspend or revoke, and that are active."""
    listed = KINDS[kind]
    first = next(iter(listed.acts.values())).action.address
    return {getattr(thing, listed.key) for thing in rows if _is_live(thing) and doors.may(caller, first, thing)}


def _is_live(thing: Grant | Agent | Session) -> bool:
    return thing.status == Agent.Status.ACTIVE if isinstance(thing, Agent) else thing.ended_at is None


@require_POST
@doors.page
def several(request: HttpRequest, kind: str) -> HttpResponse:
    """Show what an action on the ticked rows would reach; with an action and a reason, run it for each by itself."""
    known = KINDS.get(kind)
    if known is None:
        raise Malformed
    ticked, problem = _ticked(request, kind, known), None
    act = known.acts.get(request.POST.get("act", ""))
    if act is not None and ticked:
        try:
            values = doors.read(request, act.action)
            tickets.check(kind, values["ticket"])
        except DomainError as refusal:
            problem = refusal
            doors.record(request, problem, [_link(kind, thing) for thing in ticked])
        else:
            results = [(name_of(kind, thing, ""), thing, _one(request, act, kind, thing, values)) for thing in ticked]
            done = sum(not refusal for _name, _thing, refusal in results)
            return render(
                request, "console/revocations/stopped.html", {"kind": known, "results": results, "done": done}
            )
    context = {
        "kind": known,
        "name": kind,
        "rows": [
            (name_of(kind, thing, ""), thing, getattr(thing, known.key), effects.count_effects(kind, thing))
            for thing in ticked
        ],
        "problem": problem,
    }
    status = problem.status if problem else HTTPStatus.OK if ticked else HTTPStatus.UNPROCESSABLE_ENTITY
    return render(request, "console/revocations/stop_several.html", context, status=status)


def _ticked(request: HttpRequest, kind: str, known: Kind) -> list[Any]:
    """Find what was ticked among what the person sees, or all that their list matches. Raises Malformed."""
    if selection.is_all(request):
        found = selection.matching(request, known.model)
        allowed = stoppable(doors.caller(request), kind, found)
        return [thing for thing in found if getattr(thing, known.key) in allowed]
    keys = list(dict.fromkeys(request.POST.getlist("key")))
    if len(keys) > selection.MOST:
        raise Malformed(_("At most %(most)d rows at a time.") % {"most": selection.MOST})
    if known.key == "pk":
        try:
            keys = [str(UUID(key)) for key in keys]
        except ValueError as error:
            raise Malformed from error
    by_key = {
        str(getattr(thing, known.key)): thing
        for thing in known.subject.rows(doors.caller(request)).filter(**{f"{known.key}__in": keys})
    }
    return [by_key[key] for key in keys if key in by_key]


def _one(
    request: HttpRequest,
    act: StopAction,
    kind: str,
    thing: Any,  # noqa: ANN401 - a row
    values: dict[str, Any],
) -> DomainError | None:
    """Stop one, in a transaction of its own; return why not, which is recorded as for one alone."""
    try:
        with transaction.atomic():
            doors.perform(request, act.action, thing, values, say=False)
    except DomainError as refusal:
        doors.record(request, refusal, [_link(kind, thing)])
        return refusal
    return None


def _link(kind: str, thing: Any) -> str:  # noqa: ANN401 - as above
    return f"{kind}:{getattr(thing, KINDS[kind].key)}"
