"""Hooks of the floor below: what ties people to grants, and what follows when a person is disabled."""

from __future__ import annotations

from django.db.models import Q

from audit.seals import anchors, seals
from entitlements.access import role_reach, visibility
from entitlements.agents import agents
from entitlements.catalog.actions import BEFORE_CLASSING
from entitlements.clients import clients
from entitlements.gateway.access_requests import requester
from entitlements.grants import grants
from entitlements.people import erasure, people
from entitlements.people.models import Person
from entitlements.proposals.actions import BEFORE_CONFIRM
from entitlements.revocation import tickets as revocation_tickets
from entitlements.trusted_issuers import trust
from entitlements.workload_identity import workload_rules
from governance.approvals.models import Approval
from governance.break_glass import queries as break_glass_queries
from governance.break_glass.models import BreakGlassGrant
from governance.chat.models import ChatAccount
from governance.exceptions import queries as exception_queries
from governance.exceptions.models import RegisteredException
from governance.notices.models import NoticeSettings
from governance.operations import after_restore
from governance.operations import anchors as outside_anchors
from governance.ownership.models import OwnershipProposal
from governance.requests.models import AccessRequest
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import holds
from governance.reviews.items import visibility as item_visibility
from governance.reviews.items.models import ReviewItem
from governance.reviews.remediation.models import Remediation
from governance.reviews.reviewers import assignment
from governance.reviews.spot_checks import spot_checks
from governance.sod.api import reclassification as reclassification_api

from .approvals import auto_approval, reroute
from .request_access import answer as access_answer
from .requests import requests
from .sod import check
from .tickets import tickets


def register() -> None:
    """Answer every hook of the floor below, once, when the process starts; `checks` sees that none is missing."""
    visibility.TIES.register("answered", answered)
    visibility.HIDDEN.register("spot checks", spot_checks.hidden_from)
    grants.GUARD.register("combinations", check.check)
    clients.GUARD.register("combinations", check.check_scopes)
    BEFORE_CLASSING.register("combinations", reclassification_api.check)
    BEFORE_CONFIRM.register("combinations", reclassification_api.check_proposal)
    trust.ENDING.register("workloads", workload_rules.kill_tokens)
    clients.WORKLOAD_RULE.register("rules", workload_rules.put_in_force)
    grants.START_GUARD.register("reviews", holds.check)
    agents.START_GUARD.register("reviews", holds.check_agent)
    clients.START_GUARD.register("reviews", holds.check_client)
    people.WHEN_DISABLED.register("approvals", find_approvers)
    erasure.ERASE.register("accounts", erase)
    requests.WHEN_SUBMITTED.register("rules", auto_approval.consider)
    people.WHEN_DISABLED.register("reviews", find_reviewers)
    seals.RESTORED.by = after_restore.close
    anchors.ELSEWHERE.by = outside_anchors.elsewhere
    requester.ANSWER.register("requests", access_answer.run)
    revocation_tickets.TICKET.register("tickets", tickets.check_revocation)
    role_reach.declare(AccessRequest, requests.of_limit)
    role_reach.declare(BreakGlassGrant, break_glass_queries.of_limit)
    role_reach.declare(Campaign, item_visibility.of_limit)
    role_reach.declare(Remediation, item_visibility.of_limit_by_item)
    role_reach.declare(ReviewItem, role_reach.by(system="system", agent="agent_id", person="holder_id"))
    role_reach.declare(RegisteredException, exception_queries.of_limit)
    role_reach.declare(OwnershipProposal, role_reach.by(agent="agent_id"))


def answered(person: Person) -> Q:
    """Select the grants of requests that a person answered: an approver may see the result."""
    return Q(request_id__in=Approval.objects.filter(Q(by=person) | Q(in_place_of=person)).values("request"))


def find_approvers(login: str) -> None:
    """Find other approvers for requests that wait for a disabled person; the nightly sweep finds missed ones."""
    waiting = AccessRequest.objects.filter(state=AccessRequest.State.IN_APPROVAL, approvals__waiting_for__login=login)
    for request_id in waiting.order_by("pk").distinct().values_list("pk", flat=True):
        reroute.reroute(request_id, reason="An approver was disabled.")


def find_reviewers(login: str) -> None:
    """Find other reviewers for a disabled person; the sweep finds missed ones."""
    while assignment.reassign_leavers(who=login):
        pass


def erase(person: Person) -> int:
    """Erase by which account chat knows a person, and the address at which mail was refused."""
    accounts, _of_models = ChatAccount.objects.filter(person=person).delete()
    return accounts + NoticeSettings.objects.filter(person=person).exclude(bad_address="").update(bad_address="")
