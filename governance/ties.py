"""What this floor tells the one below: what ties people to grants, and what follows when somebody is shut out."""

from __future__ import annotations

from django.db.models import Q

from entitlements.access import visibility
from entitlements.agents import agents
from entitlements.catalog.api import tools
from entitlements.clients import clients
from entitlements.grants import grants
from entitlements.people import people
from entitlements.people.models import Person
from governance.approvals.models import Approval
from governance.requests.models import AccessRequest
from governance.reviews.items import holds
from governance.reviews.reviewers import assignment
from governance.reviews.spot_checks import replacement, spot_checks
from governance.sod.api import reclassification as reclassification_api

from .approvals import approvals, auto_approval
from .requests import requests
from .sod import check


def register() -> None:
    """Answer every hook of the floor below, once, when the process starts; `checks` sees that none is missing."""
    visibility.TIES.register("answered", answered)
    visibility.HIDDEN.register("spot checks", spot_checks.hidden_from)
    grants.GUARD.register("combinations", check.check)
    clients.GUARD.register("combinations", check.check_scopes)
    tools.BEFORE_CLASSING.register("combinations", reclassification_api.check)
    grants.START_GUARD.register("reviews", holds.check)
    agents.START_GUARD.register("reviews", holds.check_agent)
    clients.START_GUARD.register("reviews", holds.check_client)
    people.WHEN_DISABLED.register("approvals", find_others)
    requests.WHEN_SUBMITTED.register("rules", auto_approval.consider)
    people.WHEN_DISABLED.register("reviews", find_reviewers)


def answered(person: Person) -> Q:
    """Select the grants of requests that a person answered: whoever said yes may look at what became of it."""
    return Q(request_id__in=Approval.objects.filter(Q(by=person) | Q(in_place_of=person)).values("request"))


def find_others(login: str) -> None:
    """Find others where a request waits for whoever was shut out; the nightly sweep finds what this missed."""
    waiting = AccessRequest.objects.filter(state=AccessRequest.State.IN_APPROVAL, approvals__waiting_for__login=login)
    for request_id in waiting.order_by("pk").distinct().values_list("pk", flat=True):
        approvals.reroute(request_id, reason="Somebody it waited for was shut out.")


def find_reviewers(login: str) -> None:
    """Find others to review and check what waited for whoever was shut out; the sweep finds what this missed."""
    while assignment.reassign_leavers(who=login):
        pass
    replacement.replace_checkers(login=login)
