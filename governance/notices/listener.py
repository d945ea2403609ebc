"""What people are told of what happened: the record is read onward, and each event says whom it concerns.

The cursor moves in the transaction that queues the notices, and the event's id keeps each from being told twice: a
worker that is killed reads again what it had not finished. Whoever did a thing is not told of it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit import clock, stream
from audit.actions import Action
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.catalog.models import Tool
from entitlements.grants.models import Grant
from entitlements.people.models import Person, Role
from governance.approvals.models import Approval
from governance.break_glass.models import EmergencyGrant
from governance.notices.models import Kind
from governance.onboarding.models import AdoptedAgent
from governance.out_of_office import delegations
from governance.out_of_office.models import Delegation
from governance.ownership.models import OfficeProposal
from governance.requests.models import AccessRequest
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.models import ReviewItem
from governance.reviews.reviewers.models import Assignment
from governance.webhooks import webhooks

from . import for_review_owners, inquiries, queue, stewards
from .audience import Teller, Told, key, review_begins

logger = logging.getLogger(__name__)
CURSOR: Final = "notices"
ENDS_SOON: Final = timedelta(days=7)
"""How long before access ends those who answer for the agent are told; of what was shorter than twice that, nobody."""


def listen() -> int:
    """Tell what the next sealed events tell; says how many were read. On first use begins with what comes from now."""
    with stream.consume(CURSOR, from_now=True) as leaves:
        for sealed in stream.events(leaves):
            tell(sealed.event)
            tell_endpoints(sealed.event)
    return len(leaves)


def tell(event: Event) -> None:
    """Queue what an event tells. One that cannot be told is logged and keeps nobody from the next."""
    teller = _TELLERS.get(Action(event.action)) if event.outcome != "refused" else None
    if teller is None:
        return
    try:
        with transaction.atomic():
            for told in teller(event):
                _queue(told, event)
    except Exception:  # a notice less is not worth all that come after it
        logger.exception("event %s could not be told", event.uuid)


def tell_endpoints(event: Event) -> None:
    """Write down what an event tells endpoints, as `tell` does for people."""
    try:
        with transaction.atomic():
            webhooks.queue(event)
    except Exception:  # as above
        logger.exception("event %s could not be told to endpoints", event.uuid)


def _queue(told: Told, event: Event) -> None:
    people = [person for person in told.people if person is not None and str(person.principal) != event.actor]
    queue.queue(
        told.kind,
        people,
        about=told.about,
        sentence=told.sentence,
        url=told.url,
        dedupe=told.dedupe or f"event {event.uuid}",
        urgent=told.urgent,
    )


def remind() -> int:
    """Tell those who answer for an agent that access of it ends within a week; says how many were told anew."""
    now = clock.now()
    long_enough = Q(expires_at__gt=F("starts_at") + 2 * ENDS_SOON)
    soon = Grant.objects.filter(
        long_enough, state=Grant.State.ACTIVE, expires_at__gt=now, expires_at__lte=now + ENDS_SOON
    )
    told = 0
    for grant in soon.select_related("agent__sponsor", "agent__owner", "entitlement").iterator(chunk_size=500):
        with transaction.atomic():
            told += queue.queue(
                Kind.GRANT_ENDING,
                [person for person in (grant.agent.sponsor, grant.agent.owner) if person is not None],
                about=f"grant:{grant.pk}",
                sentence=_("%(agent)s loses %(what)s on %(day)s.")
                % {**_named(grant), "day": f"{grant.expires_at:%Y-%m-%d}"},
                url=f"/grants/{grant.pk}/",
                dedupe=f"grant {grant.pk} ends {grant.expires_at:%Y-%m-%d}",
            )
    return told


# ------------------------------------------------------------------------------------------------ whom it concerns


def _request(event: Event) -> AccessRequest | None:
    rows = AccessRequest.objects.select_related("agent", "entitlement", "requested_by")
    return rows.filter(pk=key(event, "request")).first()


def _named(thing: AccessRequest | Grant) -> dict[str, str]:
    return {"agent": thing.agent.name, "what": thing.entitlement.name}


def _asked(event: Event) -> Iterator[Told]:
    """Tell those whom a request waits for, and who answers in their place; each once however often it is passed on."""
    if (request := _request(event)) is None or request.state != AccessRequest.State.IN_APPROVAL:
        return
    waits = Person.objects.filter(approvals_waiting__request=request, approvals_waiting__answer="waiting")
    yield Told(
        Kind.REQUEST_WAITING,
        delegations.standing_in(waits),
        f"request:{request.pk}",
        _("A request waits for you: %(agent)s asks for %(what)s.") % _named(request),
        f"/requests/{request.pk}/",
        dedupe="" if event.action == Action.REQUEST_EDITED else f"request {request.pk} waits",
    )


def _asked_back(event: Event) -> Iterator[Told]:
    """Tell whoever asked of a question, and whoever put it of the answer."""
    if (request := _request(event)) is None:
        return
    about, url = f"request:{request.pk}", f"/requests/{request.pk}/"
    if event.action == Action.REQUEST_QUESTION_ASKED:
        said = _("Somebody asks you about %(what)s for %(agent)s before they answer.") % _named(request)
        yield Told(Kind.REQUEST_DECIDED, [request.requested_by], about, said, url)
        return
    said = _("Your question about %(what)s for %(agent)s was answered.") % _named(request)
    asked_by = Person.objects.filter(login=event.detail.get("asked_by"))
    yield Told(Kind.REQUEST_WAITING, asked_by, about, said, url)


def _answered(event: Event) -> Iterator[Told]:
    """Tell whoever asked what became of the request; of an appeal also those whose answers were appealed."""
    if (request := _request(event)) is None:
        return
    said = _approved(event) if event.action == Action.APPROVAL_GIVEN else str(_ANSWERS[Action(event.action)])
    about, url = f"request:{request.pk}", f"/requests/{request.pk}/"
    yield Told(Kind.REQUEST_DECIDED, [request.requested_by], about, said % _named(request), url)
    if request.appeals_id is not None and request.state != AccessRequest.State.IN_APPROVAL:
        granted = request.state == AccessRequest.State.APPROVED
        said = _("Others approved on appeal what you answered: %(what)s for %(agent)s.")
        if not granted:
            said = _("The appeal from your answer was not granted: %(what)s for %(agent)s.")
        gave = Approval.objects.filter(request=request.appeals_id).exclude(by=None).values("by")
        answered = Person.objects.filter(pk__in=gave)
        yield Told(Kind.REQUEST_DECIDED, answered, about, said % _named(request), url, dedupe=f"appeal {request.pk}")


def _approved(event: Event) -> str:
    if event.detail.get("still_waiting"):
        return _("One more person approved what you asked: %(what)s for %(agent)s.")
    if event.detail.get("narrowed"):
        return _("Approved, but less than you asked: %(what)s for %(agent)s. See what was left out.")
    return _("Approved: %(what)s for %(agent)s.")


def _taken_back(event: Event) -> Iterator[Told]:
    rows = Grant.objects.select_related("agent__sponsor", "agent__owner", "entitlement")
    if (grant := rows.filter(pk=key(event, "grant")).first()) is None:
        return
    served = Person.objects.filter(grant_subjects__grant=grant)
    yield Told(
        Kind.GRANT_REVOKED,
        [grant.agent.sponsor, grant.agent.owner, *served],
        f"grant:{grant.pk}",
        _("Taken back from %(agent)s: %(what)s.") % _named(grant),
        f"/grants/{grant.pk}/",
    )


def _emergency(event: Event) -> Iterator[Told]:
    """Tell security and everybody whom emergency access concerns, at once; of the review only those who may do it."""
    rows = EmergencyGrant.objects.select_related(
        "given_by", "grant__agent__sponsor", "grant__agent__owner", "grant__agent__backup",
        "grant__entitlement__system__owner",
    )  # fmt: skip
    if (found := rows.filter(pk=key(event, "emergency")).first()) is None:
        return
    security = Person.objects.holding(Role.SECURITY)
    grant, names = found.grant, {**_named(found.grant), "name": found.given_by.name}
    about, url = f"emergency:{found.pk}", f"/emergencies/{found.pk}/"
    if event.action == Action.EMERGENCY_OVER:
        said = _("Look at it within two days: %(name)s gave %(agent)s %(what)s in an emergency.") % names
        yield Told(Kind.EMERGENCY, security.exclude(pk=found.given_by_id), about, said, url, urgent=True)
        return
    offices = [grant.agent.sponsor, grant.agent.owner, grant.agent.backup, grant.entitlement.system.owner]
    served = Q(grant_subjects__grant=grant) | Q(memberships__group__grant_subjects__grant=grant)
    if event.action == Action.EMERGENCY_REVIEWED:
        justified = found.verdict == EmergencyGrant.Verdict.JUSTIFIED
        said = _("Justified: what %(name)s gave %(agent)s in an emergency, %(what)s.") % names
        if not justified:
            said = _("Not justified: what %(name)s gave %(agent)s in an emergency, %(what)s.") % names
        yield Told(Kind.EMERGENCY, [found.given_by, *offices], about, said, url, urgent=not justified)
        return
    said = _("Emergency: %(name)s gave %(agent)s %(what)s without approval, for an hour at most.") % names
    told = [*offices, *security, *Person.objects.filter(served).distinct()]
    yield Told(Kind.EMERGENCY, told, about, said, url, urgent=True)


def _stopped(event: Event) -> Iterator[Told]:
    rows = Agent.objects.select_related("sponsor", "owner", "backup")
    if (agent := rows.filter(slug=key(event, "agent")).first()) is None:
        return
    sentence = _("%(agent)s was stopped.") % {"agent": agent.name}
    people = [agent.sponsor, agent.owner, agent.backup]
    yield Told(Kind.AGENT_STOPPED, people, f"agent:{agent.slug}", sentence, f"/agents/{agent.slug}/", urgent=True)


def _unused(event: Event) -> Iterator[Told]:
    """Tell those who answer for an agent what becomes of a client that nobody uses, before it happens and then."""
    agent = Agent.objects.select_related("sponsor", "owner").filter(slug=key(event, "agent")).first()
    if agent is None:
        return
    client, after = key(event, "client"), settings.CLIENT_IDLE_AFTER
    told = {"client": client, "agent": agent.name, "days": (after["close"] - after["hide"]).days}
    sentence = _UNUSED[Action(event.action)] % told
    url = f"/agents/{agent.slug}/clients/{client}/"
    yield Told(Kind.AGENT_STOPPED, [agent.sponsor, agent.owner], f"client:{client}", sentence, url)


def _drifted(event: Event) -> Iterator[Told]:
    state = event.detail.get("state", Tool.State.QUARANTINED)
    if state not in (Tool.State.QUARANTINED, Tool.State.APPROVED):
        return  # nobody approved it yet, or it is stopped: there is nothing to look at that was not there before
    slug, _slash, name = key(event, "tool").partition("/")
    tool = Tool.objects.select_related("system__owner").filter(system__slug=slug, name=name).first()
    if tool is None:
        return
    moved = bool(event.detail.get("moved"))
    names = {"tool": tool.name, "system": tool.system.name}
    if state == Tool.State.APPROVED:
        said = _("The texts of %(tool)s of %(system)s changed. Agents are served it as it was approved.") % names
        yield Told(Kind.TOOL_QUARANTINED, [tool.system.owner], f"tool:{slug}/{name}", said, "/tool-changes/")
        return
    yield Told(
        Kind.TOOL_QUARANTINED,
        [tool.system.owner],
        f"tool:{slug}/{name}",
        _("The address of %(system)s changed, so its tools are stopped until somebody looks.") % names
        if moved
        else _("%(tool)s of %(system)s is stopped until somebody looks at it.") % names,
        f"/systems/{slug}/",
        urgent=True,
        dedupe=f"moved {slug} {event.at:%Y-%m-%dT%H:%M}" if moved else "",
    )


def _proposed(event: Event) -> Iterator[Told]:
    rows = OfficeProposal.objects.select_related("agent", "person")
    if (proposal := rows.filter(pk=str(event.detail.get("proposal"))).first()) is None:
        return
    yield Told(
        Kind.OFFICE_PROPOSED,
        [proposal.person],
        f"agent:{proposal.agent.slug}",
        _("You are asked to answer for %(agent)s.") % {"agent": proposal.agent.name},
        f"/proposals/{proposal.pk}/",
    )


def _adopting(event: Event) -> Iterator[Told]:
    asked = AdoptedAgent.objects.filter(batch__pk=key(event, "adoption"), state=AdoptedAgent.State.ASKED)
    if not (people := list(Person.objects.filter(pk__in=asked.values("sponsor")))):
        return
    batch = key(event, "adoption")
    sentence = _("You are asked to answer for agents that exist elsewhere, and for what they keep.")
    yield Told(Kind.OFFICE_PROPOSED, people, f"adoption:{batch}", sentence, f"/adoption/{batch}/")


def _delegated(event: Event) -> Iterator[Told]:
    rows = Delegation.objects.select_related("delegate", "delegator")
    if (found := rows.filter(pk=key(event, "delegation")).first()) is None:
        return
    sentence = _("You answer in the place of %(name)s from %(day)s on.") % {
        "name": found.delegator.name,
        "day": f"{found.starts_at:%Y-%m-%d}",
    }
    yield Told(Kind.DELEGATED, [found.delegate], f"person:{found.delegator.login}", sentence, "/settings/delegations/")


def _review(event: Event) -> Iterator[Told]:
    """Tell reviewers of a campaign, each once a campaign, and once a day when somebody reminds them."""
    slug, again = key(event, "campaign"), event.action == Action.CAMPAIGN_REMINDED
    waiting = Assignment.objects.filter(item__campaign__slug=slug, state=Assignment.State.ASSIGNED)
    waiting = waiting.filter(item__state=ReviewItem.State.IN_REVIEW) if again else waiting
    yield from _waits(waiting, f"reminded {event.at:%Y-%m-%d}" if again else "")


def _asked_next(event: Event) -> Iterator[Told]:
    """Tell whom an item asks now, and nobody else: an event is about one, of which a campaign has many thousands."""
    if (item := key(event, "item")) != "-":
        yield from _waits(Assignment.objects.filter(item=UUID(item), state=Assignment.State.ASSIGNED))


def _waits(waiting: QuerySet[Assignment], reminded: str = "") -> Iterator[Told]:
    """Tell whoever is asked by some assignments of one campaign."""
    first = waiting.select_related("item__campaign").first()
    if first is None:
        return
    campaign = first.item.campaign
    is_micro = campaign.kind == Campaign.Kind.MICRO
    yield Told(
        Kind.REVIEW_WAITING,
        delegations.standing_in(Person.objects.filter(pk__in=waiting.values("reviewer"))),
        f"campaign:{campaign.slug}",
        _("You are reminded of a review: %(name)s.") % {"name": campaign.name}
        if reminded
        else review_begins(campaign.name),
        f"/small-reviews/{campaign.slug}/" if is_micro else f"/reviews/{campaign.slug}/work/",
        dedupe=f"campaign {campaign.slug} {reminded or 'waits'}",
    )


def _reassigned(event: Event) -> Iterator[Told]:
    """Tell who answers now; where that is nobody, whoever runs the review."""
    yield from _asked_next(event)
    yield from for_review_owners.left_to_nobody(event)


def _setup(event: Event) -> Iterator[Told]:
    if event.outcome == "failure":
        admins = Person.objects.holding(Role.ADMIN)
        said = _("A test of the set-up failed: %(why)s") % {"why": event.detail.get("sentence", "")}
        yield Told(Kind.SETUP_LOST, admins, f"setup:{key(event, 'setup')}", said, "/settings/setup/")


_ANSWERS: Final[Mapping[Action, Any]] = {
    Action.APPROVAL_DENIED: gettext_lazy("Denied: %(what)s for %(agent)s. The request says why."),
    Action.APPROVAL_GIVEN_BY_RULE: gettext_lazy("Approved by a rule: %(what)s for %(agent)s."),
    Action.REQUEST_NARROWED: gettext_lazy("Less than you asked now waits for approval: %(what)s for %(agent)s."),
    Action.REQUEST_EXPIRED: gettext_lazy("Nobody answered in time: %(what)s for %(agent)s. You can ask again."),
}
_UNUSED: Final[Mapping[Action, Any]] = {
    Action.CLIENT_HIDDEN: gettext_lazy(
        "Nobody uses the client %(client)s of %(agent)s. In %(days)s days it gets no token any more."
    ),
    Action.CLIENT_CLOSED: gettext_lazy(
        "The client %(client)s of %(agent)s was unused for long and gets no token. Start it if it is needed."
    ),
}


_TELLERS: Final[Mapping[Action, Teller]] = {
    **stewards.TELLERS,
    **for_review_owners.TELLERS,
    **inquiries.TELLERS,
    **dict.fromkeys(_UNUSED, _unused),
    Action.REQUEST_SUBMITTED: _asked,
    Action.APPROVAL_ESCALATED: _asked,
    Action.APPROVAL_REROUTED: _asked,
    Action.APPROVAL_REASSIGNED: _asked,
    Action.REQUEST_EDITED: _asked,
    Action.REQUEST_QUESTION_ASKED: _asked_back,
    Action.REQUEST_QUESTION_ANSWERED: _asked_back,
    Action.APPROVAL_GIVEN: _answered,
    **dict.fromkeys(_ANSWERS, _answered),
    Action.GRANT_REVOKED: _taken_back,
    Action.EMERGENCY_DECLARED: _emergency,
    Action.EMERGENCY_OVER: _emergency,
    Action.EMERGENCY_REVIEWED: _emergency,
    Action.AGENT_SUSPENDED: _stopped,
    Action.TOOL_CHANGED: _drifted,
    Action.TOOL_QUARANTINED: _drifted,
    Action.AGENT_OFFICE_PROPOSED: _proposed,
    Action.ADOPTION_SPONSORS_ASKED: _adopting,
    Action.DELEGATION_MADE: _delegated,
    Action.CAMPAIGN_ACTIVATED: _review,
    Action.CAMPAIGN_REMINDED: _review,
    Action.REVIEW_REASSIGNED: _reassigned,
    Action.REVIEW_DECIDED: _asked_next,
    Action.REVIEW_ABSTAINED: _asked_next,
    Action.REVIEW_REOPENED: _asked_next,
    Action.SETUP_TESTED: _setup,
}
