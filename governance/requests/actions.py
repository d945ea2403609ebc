"""What people and agents do with their requests: each action declared once, for API and console."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.api.actions import NEW, Action, Subject
from entitlements.people.models import Person
from governance.approvals.rules import NotAnApprover
from governance.eligibility import eligibility
from governance.requests import requests
from governance.requests.models import AccessRequest


def requester(caller: Caller) -> eligibility.Requester:
    """Return the person or the agent that acts. Raises MayNotRequest for a script."""
    asker = caller.agent or caller.human
    if asker is None:
        raise eligibility.MayNotRequest
    return asker


def may_request(caller: Caller) -> Caller:
    """Return a caller who may ask, with the session that an agent asks in. Raises MayNotRequest for a script."""
    requester(caller)
    return caller


def approver(caller: Caller) -> Person:
    """Return the person who answers. Raises NotAnApprover for an agent or a script."""
    if caller.human is None:
        raise NotAnApprover
    return caller.human


def in_session(run: Callable[..., AccessRequest]) -> Callable[..., AccessRequest]:
    """Return `run` for a caller: an agent asks on behalf of the user in whose session it is."""

    def run_in_session(*rows: object, by: Caller, **values: Any) -> AccessRequest:  # noqa: ANN401 - its fields
        asker = requester(by)
        return run(*rows, by=asker, on_behalf_of=by.person if isinstance(asker, Agent) else None, **values)

    return run_in_session


def visible(caller: Caller) -> QuerySet[AccessRequest]:
    """Return the requests that a caller may see."""
    return AccessRequest.objects.all() if caller.is_script else requests.visible_to(requester(caller))


REQUEST = Subject(visible, requests.about, permitted_on=attrgetter("agent"), by=requester, by_key=True)

SUBMIT = Action(
    "requests",
    NEW,
    in_session(requests.submit),
    input=None,
    by=may_request,
    done=_("Requested. This page shows who must approve."),
)
NARROW = Action("request-narrow", REQUEST, requests.narrow, input=None)
CANCEL = Action("request-cancel", REQUEST, requests.cancel, input=None, done=_("Withdrawn."))
