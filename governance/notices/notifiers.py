"""Who hears of which event, and in which words: one notifier for each event of which people are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.conf import settings
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit import bodies
from audit.actions import Action
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.catalog.models import System, Tool
from entitlements.grants.models import Grant
from entitlements.people.models import Person, Role
from governance.approvals.models import Approval
from governance.break_glass.models import BreakGlassGrant
from governance.notices.models import Kind
from governance.onboarding.models import OnboardedAgent
from governance.out_of_office import delegations
from governance.out_of_office.models import OutOfOfficeDelegate
from governance.ownership.models import OwnershipProposal
from governance.proposals import facts as changes
from governance.requests.models import AccessRequest

from . import alarms, for_review_owners, for_reviewers, inquiries, stewards
from .audience import Message, Notifier, key


def _request(event: Event) -> AccessRequest | None:
    rows = AccessRequest.objects.select_related("agent", "entitlement", "requested_by")
    return rows.filter(pk=event.key_uuid("request")).first()


def names(subject: AccessRequest | Grant) -> dict[str, str]:
    """Return what the sentences of a request or a grant name."""
    return {"agent": subject.agent.name, "what": subject.entitlement.name}


def _request_waits(event: Event) -> Iterator[Message]:
    """Tell the approvers of a request and their out-of-office delegates, each once however often it is reassigned."""
    if (request := _request(event)) is None or request.state != AccessRequest.State.IN_APPROVAL:
        return
    waits = Person.objects.filter(approvals_waiting__request=request, approvals_waiting__answer="waiting")
    yield Message(
        Kind.REQUEST_WAITING,
        delegations.with_delegates(waits),
        f"request:{request.pk}",
        _("A request waits for you: %(agent)s asks for %(what)s.") % names(request),
        f"/requests/{request.pk}/",
        dedupe="" if event.action == Action.REQUEST_EDITED else f"request {request.pk} waits",
        waits=True,
    )


def _request_question(event: Event) -> Iterator[Message]:
    """Tell the requester of a question, and the approver who asked it of the answer."""
    if (request := _request(event)) is None:
        return
    about, url = f"request:{request.pk}", f"/requests/{request.pk}/"
    if event.action == Action.REQUEST_QUESTION_ASKED:
        sentence = _("An approver asks you about %(what)s for %(agent)s before they answer.") % names(request)
        yield Message(Kind.REQUEST_DECIDED, [request.requested_by], about, sentence, url)
        return
    sentence = _("Your question about %(what)s for %(agent)s was answered.") % names(request)
    asked_by = Person.objects.filter(login=event.detail.text("asked_by"))
    yield Message(Kind.REQUEST_WAITING, asked_by, about, sentence, url, waits=True)


def _request_answered(event: Event) -> Iterator[Message]:
    """Tell the requester what became of the request; after an appeal also the approvers who answered before."""
    if (request := _request(event)) is None:
        return
    sentence = _approval_text(event) if event.action == Action.APPROVAL_GIVEN else str(_ANSWERS[Action(event.action)])
    about, url = f"request:{request.pk}", f"/requests/{request.pk}/"
    yield Message(Kind.REQUEST_DECIDED, [request.requested_by], about, sentence % names(request), url)
    if request.appeals_id is not None and request.state != AccessRequest.State.IN_APPROVAL:
        granted = request.state == AccessRequest.State.APPROVED
        sentence = _("Others approved on appeal what you answered: %(what)s for %(agent)s.")
        if not granted:
            sentence = _("The appeal from your answer was not granted: %(what)s for %(agent)s.")
        gave = Approval.objects.filter(request=request.appeals_id).exclude(by=None).values("by")
        answered = Person.objects.filter(pk__in=gave)
        yield Message(
            Kind.REQUEST_DECIDED, answered, about, sentence % names(request), url, dedupe=f"appeal {request.pk}"
        )


def _approval_text(event: Event) -> str:
    if event.detail.get("still_waiting"):
        return _("One more person approved what you asked: %(what)s for %(agent)s.")
    if event.detail.get("narrowed"):
        return _("Approved, but less than you asked: %(what)s for %(agent)s. See what was left out.")
    return _("Approved: %(what)s for %(agent)s.")


def _grant_revoked(event: Event) -> Iterator[Message]:
    rows = Grant.objects.select_related("agent__sponsor", "agent__owner", "entitlement")
    if (grant := rows.filter(pk=event.key_uuid("grant")).first()) is None:
        return
    served = Person.objects.filter(grant_subjects__grant=grant)
    yield Message(
        Kind.GRANT_REVOKED,
        [grant.agent.sponsor, grant.agent.owner, *served],
        f"grant:{grant.pk}",
        _("Taken back from %(agent)s: %(what)s.") % names(grant),
        f"/grants/{grant.pk}/",
    )


def _break_glass(event: Event) -> Iterator[Message]:
    """Tell security and all people whom break-glass access concerns at once; of the review due, only security."""
    rows = BreakGlassGrant.objects.select_related(
        "given_by", "grant__agent__sponsor", "grant__agent__owner", "grant__agent__backup",
        "grant__entitlement__system__owner",
    )  # fmt: skip
    if (emergency := rows.filter(pk=event.key_uuid("emergency")).first()) is None:
        return
    security = Person.objects.holding(Role.SECURITY)
    grant, words = emergency.grant, {**names(emergency.grant), "name": emergency.given_by.name}
    about, url = f"emergency:{emergency.pk}", f"/break-glass/{emergency.pk}/"
    if event.action == Action.BREAK_GLASS_ENDED:
        sentence = _("Review within two days: break-glass access of %(agent)s to %(what)s, given by %(name)s.") % words
        others = security.exclude(pk=emergency.given_by_id)
        yield Message(Kind.EMERGENCY, others, about, sentence, url, urgent=True, waits=True)
        return
    offices = [grant.agent.sponsor, grant.agent.owner, grant.agent.backup, grant.entitlement.system.owner]
    served = Q(grant_subjects__grant=grant) | Q(memberships__group__grant_subjects__grant=grant)
    if event.action == Action.BREAK_GLASS_REVIEWED:
        justified = emergency.verdict == BreakGlassGrant.Verdict.JUSTIFIED
        sentence = _("Justified: break-glass access of %(agent)s to %(what)s, given by %(name)s.") % words
        if not justified:
            sentence = _("Not justified: break-glass access of %(agent)s to %(what)s, given by %(name)s.") % words
        yield Message(Kind.EMERGENCY, [emergency.given_by, *offices], about, sentence, url, urgent=not justified)
        return
    sentence = _("Break-glass access: %(name)s gave %(agent)s %(what)s without approval, for at most an hour.") % words
    people = [*offices, *security, *Person.objects.filter(served).distinct()]
    yield Message(Kind.EMERGENCY, people, about, sentence, url, urgent=True)


def _agent_suspended(event: Event) -> Iterator[Message]:
    rows = Agent.objects.select_related("sponsor", "owner", "backup")
    if (agent := rows.filter(slug=key(event, "agent")).first()) is None:
        return
    sentence = _("%(agent)s was stopped.") % {"agent": agent.name}
    people = [agent.sponsor, agent.owner, agent.backup]
    yield Message(Kind.AGENT_STOPPED, people, f"agent:{agent.slug}", sentence, f"/agents/{agent.slug}/", urgent=True)


def _person_held(event: Event) -> Iterator[Message]:
    """Tell of a signal; and those who decide about signals that one holds a person's agents, once an hour a source."""
    said = event.detail
    if not event.keys("person") or (said.text("response"), said.text("outcome")) != ("hold", "done"):
        yield from alarms.NOTIFIERS[Action.RISK_SIGNALLED](event)
        return
    people = [*Person.objects.holding(Role.SECURITY), *Person.objects.holding(Role.ADMIN)]
    source, url = said.text("source"), f"/risk-signals/{key(event, 'risk')}/"
    sentence = _("A signal of %(source)s holds the agents of a person until someone confirms or dismisses it.")
    dedupe = f"held {source} {event.at:%Y-%m-%dT%H}"
    about = f"risk:{key(event, 'risk')}"
    yield Message(Kind.AGENT_STOPPED, people, about, sentence % {"source": source}, url, urgent=True, dedupe=dedupe)


def _refresh_token_reused(event: Event) -> Iterator[Message]:
    """Tell who answers for an agent, if there is one, and the person that a sign-in of theirs was used by two."""
    rows = Agent.objects.select_related("sponsor", "owner", "backup")
    about, client = f"token_family:{key(event, 'token_family')}", key(event, "client")
    if (agent := rows.filter(slug=key(event, "agent")).first()) is not None:
        sentence = _(
            "A sign-in at %(client)s, of %(agent)s, was used twice and has ended: it may have been stolen."
        ) % {"client": client, "agent": agent.name}
        people = [agent.sponsor, agent.owner, agent.backup]
        yield Message(Kind.CREDENTIAL, people, about, sentence, f"/agents/{agent.slug}/", urgent=True)
    signed_in = Person.objects.filter(login=key(event, "person"))
    sentence = _("Your sign-in at %(client)s was used twice and has ended: it may have been stolen.") % {
        "client": client
    }
    yield Message(Kind.CREDENTIAL, signed_in, about, sentence, "/connections/", urgent=True)


def _account_broken(event: Event) -> Iterator[Message]:
    """Tell a person that a system no longer accepts the account that they connected."""
    system = System.objects.filter(slug=key(event, "system")).first()
    if system is None:
        return
    sentence = _("%(system)s no longer accepts your account. Connect it again.") % {"system": system.name}
    whose = Person.objects.filter(login=key(event, "person"))
    url = reverse("connected-account-page", args=[system.slug])
    yield Message(Kind.CREDENTIAL, whose, f"system:{system.slug}", sentence, url, urgent=True)


def _client_unused(event: Event) -> Iterator[Message]:
    """Tell an agent's owners that an unused client is about to lose its tokens, and again when it does."""
    agent = Agent.objects.select_related("sponsor", "owner").filter(slug=key(event, "agent")).first()
    if agent is None:
        return
    client, after = key(event, "client"), settings.CLIENT_IDLE_AFTER
    values = {"client": client, "agent": agent.name, "days": (after["close"] - after["hide"]).days}
    sentence = _UNUSED[Action(event.action)] % values
    url = reverse("client-page", args=[agent.slug, client])
    yield Message(Kind.AGENT_STOPPED, [agent.sponsor, agent.owner], f"client:{client}", sentence, url)


def _tool_changed(event: Event) -> Iterator[Message]:
    state = event.detail.text("state", Tool.State.QUARANTINED)
    if state not in (Tool.State.QUARANTINED, Tool.State.APPROVED):
        return  # it was never approved, or it is stopped already: there is nothing new to review
    slug, _slash, name = key(event, "tool").partition("/")
    tool = Tool.objects.select_related("system__owner").filter(system__slug=slug, name=name).first()
    if tool is None:
        return
    moved = bool(event.detail.get("moved"))
    names = {"tool": tool.name, "system": tool.system.name}
    if state == Tool.State.APPROVED:
        sentence = _("The texts of %(tool)s of %(system)s changed. Agents are served it as it was approved.") % names
        yield Message(Kind.TOOL_QUARANTINED, [tool.system.owner], f"tool:{slug}/{name}", sentence, "/tool-changes/")
        return
    yield Message(
        Kind.TOOL_QUARANTINED,
        [tool.system.owner],
        f"tool:{slug}/{name}",
        _("The address of %(system)s changed, so its tools are stopped until they are reviewed.") % names
        if moved
        else _("%(tool)s of %(system)s is stopped until it is reviewed.") % names,
        f"/systems/{slug}/",
        urgent=True,
        dedupe=f"moved {slug} {event.at:%Y-%m-%dT%H:%M}" if moved else "",
        waits=True,
    )


def _secret_leaked(event: Event) -> Iterator[Message]:
    """Tell the owners of the systems that the secret opens, and the owner of the one that answered with it."""
    answered = System.objects.select_related("owner").filter(slug=event.detail.text("system")).first()
    if answered is None:
        return
    opened = System.objects.select_related("owner").filter(slug__in=event.detail.texts("opens"))
    for system in opened.order_by("slug"):
        yield Message(
            Kind.CREDENTIAL,
            [system.owner, answered.owner],
            f"system:{system.slug}",
            _("%(other)s answered with a secret of %(system)s. Replace the secret, and find out how it got there.")
            % {"other": answered.name, "system": system.name},
            f"/systems/{system.slug}/",
            urgent=True,
            dedupe=f"leaked {system.slug} {answered.slug} {event.at:%Y-%m-%dT%H}",
        )


def _owner_proposed(event: Event) -> Iterator[Message]:
    rows = OwnershipProposal.objects.select_related("agent", "person")
    if (proposal := rows.filter(pk=bodies.uuid(event.detail.text("proposal"))).first()) is None:
        return
    yield Message(
        Kind.OFFICE_PROPOSED,
        [proposal.person],
        f"agent:{proposal.agent.slug}",
        _("You are asked to answer for %(agent)s.") % {"agent": proposal.agent.name},
        f"/proposals/{proposal.pk}/",
        waits=True,
    )


def _change_waits(event: Event) -> Iterator[Message]:
    """Tell the people who may confirm a proposed change, each once however often it is proposed."""
    if (change := changes.find(link := changes.link_of(event))) is None:
        return
    names = {"what": change.what, "name": change.proposed_by}
    sentence = _("A change waits for a second person: %(what)s, proposed by %(name)s.") % names
    yield Message(
        Kind.CHANGE_WAITING,
        changes.people(change),
        link,
        sentence,
        change.address,
        dedupe=f"change {change.key} waits",
        waits=True,
    )


def _onboarding_asked(event: Event) -> Iterator[Message]:
    waiting = OnboardedAgent.objects.filter(batch__pk=event.key_uuid("adoption"), state=OnboardedAgent.State.ASKED)
    if not (people := list(Person.objects.filter(pk__in=waiting.values("sponsor")))):
        return
    batch = key(event, "adoption")
    sentence = _("You are asked to answer for agents that exist elsewhere, and for what they keep.")
    about, url = f"adoption:{batch}", f"/onboarding/{batch}/"
    yield Message(Kind.OFFICE_PROPOSED, people, about, sentence, url, waits=True)


def _delegation_made(event: Event) -> Iterator[Message]:
    rows = OutOfOfficeDelegate.objects.select_related("delegate", "delegator")
    if (delegation := rows.filter(pk=event.key_uuid("delegation")).first()) is None:
        return
    delegator, day = delegation.delegator, f"{delegation.starts_at:%Y-%m-%d}"
    sentence = _("You answer in the place of %(name)s from %(day)s on.") % {"name": delegator.name, "day": day}
    about, url = f"person:{delegator.login}", "/settings/delegations/"
    yield Message(Kind.DELEGATED, [delegation.delegate], about, sentence, url)


def _setup(event: Event) -> Iterator[Message]:
    if event.outcome == "failure":
        admins = Person.objects.holding(Role.ADMIN)
        sentence = _("A test of the set-up failed: %(why)s") % {"why": event.detail.text("sentence")}
        yield Message(Kind.SETUP_LOST, admins, f"setup:{key(event, 'setup')}", sentence, "/settings/setup/")


def _posture(event: Event) -> Iterator[Message]:
    """Tell security and platform admins that the posture report of a month is ready; the PDF is behind the sign-in."""
    month = key(event, "posture")
    sentence = _("The posture report of %(month)s is ready.") % {"month": month}
    url = f"{reverse('posture-report', args=['company'])}?month={month}"
    people = [*Person.objects.holding(Role.SECURITY), *Person.objects.holding(Role.ADMIN)]
    yield Message(Kind.POSTURE_REPORT, people, f"posture:{month}", sentence, url)


_ANSWERS: Final[Mapping[Action, Any]] = {
    Action.APPROVAL_DENIED: gettext_lazy("Denied: %(what)s for %(agent)s. The request says why."),
    Action.APPROVAL_GIVEN_BY_RULE: gettext_lazy("Auto-approved: %(what)s for %(agent)s."),
    Action.REQUEST_NARROWED: gettext_lazy("Less than you asked now waits for approval: %(what)s for %(agent)s."),
    Action.REQUEST_EXPIRED: gettext_lazy("No approver answered in time: %(what)s for %(agent)s. You can ask again."),
}
_UNUSED: Final[Mapping[Action, Any]] = {
    Action.CLIENT_HIDDEN: gettext_lazy(
        "The client %(client)s of %(agent)s is unused. In %(days)s days it gets no token any more."
    ),
    Action.CLIENT_CLOSED: gettext_lazy(
        "The client %(client)s of %(agent)s was unused for long and gets no token. Start it if it is needed."
    ),
}
NOTIFIERS: Final[Mapping[Action, Notifier]] = {
    **alarms.NOTIFIERS,
    **stewards.NOTIFIERS,
    **for_review_owners.NOTIFIERS,
    **for_reviewers.NOTIFIERS,
    **inquiries.NOTIFIERS,
    **dict.fromkeys(_UNUSED, _client_unused),
    **dict.fromkeys((kind.event for kind in changes.KINDS), _change_waits),
    Action.REQUEST_SUBMITTED: _request_waits,
    Action.APPROVAL_ESCALATED: _request_waits,
    Action.APPROVAL_REROUTED: _request_waits,
    Action.APPROVAL_REASSIGNED: _request_waits,
    Action.REQUEST_EDITED: _request_waits,
    Action.REQUEST_QUESTION_ASKED: _request_question,
    Action.REQUEST_QUESTION_ANSWERED: _request_question,
    Action.APPROVAL_GIVEN: _request_answered,
    **dict.fromkeys(_ANSWERS, _request_answered),
    Action.GRANT_REVOKED: _grant_revoked,
    Action.BREAK_GLASS_DECLARED: _break_glass,
    Action.BREAK_GLASS_ENDED: _break_glass,
    Action.BREAK_GLASS_REVIEWED: _break_glass,
    Action.AGENT_SUSPENDED: _agent_suspended,
    Action.RISK_SIGNALLED: _person_held,
    Action.TOKEN_FAMILY_REUSED: _refresh_token_reused,
    Action.TOOL_CHANGED: _tool_changed,
    Action.TOOL_QUARANTINED: _tool_changed,
    Action.SECRET_LEAKED: _secret_leaked,
    Action.AGENT_OWNERSHIP_PROPOSED: _owner_proposed,
    Action.ONBOARDING_SPONSORS_ASKED: _onboarding_asked,
    Action.OUT_OF_OFFICE_MADE: _delegation_made,
    Action.CONNECTED_ACCOUNT_BROKEN: _account_broken,
    Action.SETUP_TESTED: _setup,
    Action.POSTURE_SNAPSHOT_TAKEN: _posture,
}
