"""What waits for a person: requests, reviews, tools, orphaned agents, grants that end soon."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery

from audit import clock
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.agents.models import Agent
from entitlements.catalog.models import System, Tool
from entitlements.clients.models import ClientCredential
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.permissions.matrix import MATRIX as API
from governance.approval_policies.models import AutoApproval
from governance.approvals import auto_approval, auto_approval_checks
from governance.catalog.queries import systems
from governance.ownership.models import Dormancy, OwnershipProposal
from governance.requests import requests
from governance.requests.models import AccessRequest
from governance.reviews.campaigns.models import Campaign
from governance.reviews.discussion import questions
from governance.reviews.discussion.models import ReviewQuestion
from governance.reviews.event_triggered import visibility as visibility_actions
from governance.reviews.event_triggered.models import ReviewTrigger
from governance.reviews.items import visibility as visibility_module
from governance.reviews.spot_checks.models import SpotCheck, SpotCheckPlan

SOON: Final = timedelta(days=7)


def requests_for(person: Person) -> QuerySet[AccessRequest]:
    """Return the requests that wait for this person's answer, the most urgent first."""
    return (
        AccessRequest.objects.filter(pk__in=requests.stages_for(person).values("request"))
        .select_related("agent", "entitlement__system", "requested_by")
        .order_by("answer_by")
    )


def reviews_for(person: Person) -> QuerySet[Campaign]:
    """Return the reviews in which items wait for this person's answer, the most urgent first, with how many each."""
    items = visibility_module.waiting_for(person).order_by().values("item__campaign")
    counted = items.annotate(n=Count("pk")).filter(item__campaign=OuterRef("pk")).values("n")
    return (
        Campaign.objects.filter(pk__in=items.values("item__campaign"))
        .annotate(waiting=Subquery(counted), asks_if_needed=Exists(_dormancy_reviews(person)))
        .order_by("due_at")
    )


def _dormancy_reviews(person: Person) -> QuerySet[ReviewTrigger]:
    """Return the event-triggered reviews that also ask the sponsor whether their agent is still needed."""
    rows = visibility_actions.dormancy_reviews(person).filter(campaign=OuterRef("pk"), agent__sponsor=person)
    return rows.filter(agent__dormancy__step=Dormancy.Step.ASKED)


def questions_for(person: Person) -> QuerySet[ReviewQuestion]:
    """Return what reviewers ask this person about items, the longest waiting first."""
    return questions.waiting_for(person)


def checks_for(person: Person) -> QuerySet[SpotCheckPlan]:
    """Return the reviews of which this person is asked to check answers, the most urgent first, with how many each."""
    mine = Count("checks", filter=Q(checks__checker=person, checks__answered_at=None))
    rows = SpotCheckPlan.objects.filter(due_at__gt=clock.now()).annotate(waiting=mine).filter(waiting__gt=0)
    return rows.select_related("campaign").order_by("due_at")


def disagreements_for(person: Person) -> QuerySet[SpotCheckPlan]:
    """Return the reviews that this person runs of which checks would take more away, with how many of how many."""
    left = SpotCheck.to_follow_up().filter(plan=OuterRef("pk")).order_by().values("plan")
    rows = SpotCheckPlan.objects.filter(campaign__owner=person, drawn_at__isnull=False)
    counted = rows.annotate(differ=Subquery(left.annotate(n=Count("pk")).values("n")), sampled=Count("checks"))
    return counted.filter(differ__gt=0).select_related("campaign").order_by("-drawn_at")


def proposals_for(person: Person) -> QuerySet[OwnershipProposal]:
    """Return the proposals of ownership to this person, the most urgent first."""
    waiting = OwnershipProposal.objects.filter(person=person, state=OwnershipProposal.State.WAITING)
    return waiting.select_related("agent").order_by("answer_by")


def credentials_for(person: Person) -> QuerySet[ClientCredential]:
    """Return the credentials that wait until this person or another one responsible accepts, the most urgent first."""
    mine = Q(agent__sponsor=person) | Q(agent__owner=person) | Q(agent__backup=person)
    waits = Q(state=ClientCredential.State.WAITING, answer_by__gt=clock.now())
    rows = ClientCredential.objects.filter(mine, waits).exclude(agent__status=Agent.Status.RETIRED)
    return rows.select_related("agent").order_by("answer_by")


def unneeded(person: Person) -> QuerySet[Agent]:
    """Return the unused agents about which this person, as their sponsor, is asked whether they are still needed.

    A sponsor whom an event-triggered review asks the same is asked only there.
    """
    idle = Agent.objects.filter(sponsor=person, status=Agent.Status.ACTIVE, dormancy__step=Dormancy.Step.ASKED)
    idle = idle.exclude(pk__in=visibility_actions.dormancy_reviews(person).values("agent"))
    return idle.select_related("dormancy").order_by("slug")


def by_rule(caller: Caller) -> QuerySet[AutoApproval]:
    """Return auto-approvals of a week ago that are not yet reviewed, for people who review them."""
    due = auto_approval_checks.due(caller.human)
    return due if caller.has(*auto_approval.MAY_PROPOSE) else due.none()


def tools_for(caller: Caller) -> QuerySet[Tool]:
    """Return the tools that wait for a review by this person: an analyst sees all, an owner those of their systems."""
    rows = visibility.tools(caller).filter(systems.to_look_at())
    if not caller.has("analyst"):
        rows = rows.filter(system__owner=caller.human)
    return rows.order_by("-state", "system__slug", "name")


def orphans(caller: Caller) -> QuerySet[Agent]:
    """Return the agents in use whose sponsor or owner is disabled, or that have no owner."""
    gone = Q(sponsor__is_active=False) | Q(owner__is_active=False) | Q(owner=None)
    return visibility.agents(caller).filter(gone, status=Agent.Status.ACTIVE).order_by("slug")


def ending_of(person: Person) -> QuerySet[Grant]:
    """Return the live grants of this person's agents, and those that name them, that end within a week."""
    now = clock.now()
    theirs = Q(agent__sponsor=person) | Q(agent__owner=person) | Q(subjects__person=person)
    rows = Grant.objects.filter(theirs, ended_at=None, expires_at__gt=now, expires_at__lte=now + SOON)
    return rows.distinct().order_by("expires_at")


def suspended_agents(caller: Caller) -> QuerySet[Agent]:
    """Return the suspended agents, for people who may restore them."""
    rows = visibility.agents(caller).filter(status=Agent.Status.SUSPENDED).order_by("slug")
    return rows if API["agent-restore", "POST"].roles & caller.roles else rows.none()


def disabled_systems(caller: Caller) -> QuerySet[System]:
    """Return the disabled systems, for people who may enable them."""
    rows = visibility.systems(caller).filter(status=System.Status.DISABLED).order_by("slug")
    return rows if API["system-enable", "POST"].roles & caller.roles else rows.none()


def agents_of(person: Person) -> QuerySet[Agent]:
    """Return the agents that this person owns or sponsors."""
    return (
        Agent.objects.filter(Q(sponsor=person) | Q(owner=person))
        .exclude(status=Agent.Status.RETIRED)
        .select_related("sponsor", "owner")
        .order_by("slug")
    )


def systems_of(person: Person) -> QuerySet[System]:
    """Return the systems that this person owns."""
    return System.objects.filter(owner=person).order_by("slug")
