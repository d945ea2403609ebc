"""Notices for those responsible for agents and people sources: unused agents, suspensions, answers, credentials."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from audit import bodies
from audit.actions import Action
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.client_documents.models import ClientDocument
from entitlements.clients import credentials
from entitlements.clients.models import ClientCredential
from entitlements.grants.models import Grant
from entitlements.people.models import Person, Role
from entitlements.people_sources.models import PeopleSource
from governance.notices.models import Kind
from governance.onboarding.models import OnboardingBatch
from governance.sod import exceptions

from .audience import Message, Notifier, key


def _unneeded(event: Event) -> Iterator[Message]:
    """Tell an agent's owners that it is unused, and ask them before it is suspended."""
    agent = Agent.objects.select_related("sponsor", "owner").filter(slug=key(event, "agent")).first()
    if agent is None:
        return
    after, is_asked = settings.DORMANT_AFTER, event.action == Action.AGENT_NEED_ASKED
    day = event.at + after["suspend"] - after["ask" if is_asked else "warn"]
    values = {"agent": agent.name, "day": f"{day:%Y-%m-%d}"}
    sentence = _("%(agent)s is unused. It is suspended about %(day)s unless it is used or kept.") % values
    if is_asked:
        sentence = _("Say whether %(agent)s is still needed: it is unused, and it is suspended on %(day)s.") % values
    url = f"/agents/{agent.slug}/"
    yield Message(
        Kind.GRANT_ENDING, [agent.sponsor, agent.owner], f"agent:{agent.slug}", sentence, url, urgent=is_asked
    )


def _suspended(event: Event) -> Iterator[Message]:
    """Tell a grant's people and the agent's owners that it was suspended; at once if an exception ended."""
    rows = Grant.objects.select_related("agent__sponsor", "agent__owner", "entitlement")
    if (grant := rows.filter(pk=event.key_uuid("grant")).first()) is None:
        return
    over = event.reason.startswith(exceptions.OVER)
    values = {"agent": grant.agent.name, "what": grant.entitlement.name}
    sentence = _("Suspended until it is restored: %(what)s of %(agent)s.") % values
    if over:
        sentence = _("An exception from an SoD policy ended, so access is suspended: %(what)s of %(agent)s.") % values
    served = Person.objects.filter(grant_subjects__grant=grant)
    people = [grant.agent.sponsor, grant.agent.owner, *served]
    yield Message(Kind.GRANT_REVOKED, people, f"grant:{grant.pk}", sentence, f"/grants/{grant.pk}/", urgent=over)


def _paused(event: Event) -> Iterator[Message]:
    """Tell platform admins that a people source wants to remove too many people and waits for their decision."""
    slug = key(event, "source")
    if (source := PeopleSource.objects.filter(slug=slug).first()) is None:
        return
    sentence = _("%(source)s would remove too many people at once, so it removes no one until you look.") % {
        "source": source.name
    }
    admins, url = Person.objects.holding(Role.ADMIN), f"/settings/people-sources/{slug}/"
    yield Message(Kind.SETUP_LOST, admins, f"source:{slug}", sentence, url, urgent=True)


def _office_answered(event: Event) -> Iterator[Message]:
    """Tell the person who proposed an owner what the proposed owner answered."""
    agent = Agent.objects.filter(slug=key(event, "agent")).first()
    proposer, answerer = _person(event.detail.text("proposed_by")), _person(event.actor)
    if agent is None or proposer is None or answerer is None:
        return
    names = {"name": answerer.name, "agent": agent.name}
    sentence = _("%(name)s now answers for %(agent)s, as you proposed.") % names
    if event.action == Action.AGENT_OWNERSHIP_DECLINED:
        sentence = _("%(name)s will not answer for %(agent)s. Propose another person.") % names
    yield Message(Kind.OFFICE_PROPOSED, [proposer], f"agent:{agent.slug}", sentence, f"/agents/{agent.slug}/")


def _adoption_answered(event: Event) -> Iterator[Message]:
    """Tell the person who uploaded an onboarding file what a sponsor answered about their agents."""
    batch = OnboardingBatch.objects.select_related("brought_by").filter(pk=event.key_uuid("adoption")).first()
    answerer, count = _person(event.actor), event.detail.count("agents")
    if batch is None or answerer is None:
        return
    if event.detail.get("answer") == "accepted":
        text = ngettext(
            "%(name)s answers for %(count)d agent that you brought in.",
            "%(name)s answers for %(count)d agents that you brought in.",
            count,
        )
    else:
        text = ngettext(
            "%(name)s will not answer for %(count)d agent that you brought in.",
            "%(name)s will not answer for %(count)d agents that you brought in.",
            count,
        )
    sentence = text % {"name": answerer.name, "count": count}
    yield Message(
        Kind.OFFICE_PROPOSED, [batch.brought_by], f"adoption:{batch.pk}", sentence, f"/onboarding/{batch.pk}/"
    )


def _credential_waits(event: Event) -> Iterator[Message]:
    """Tell those who may accept a credential of an agent's client that it waits for one of them."""
    if (credential := _credential(event)) is None or not credential.is_open:
        return
    names = {"client": credential.client_id, "agent": credential.agent.name}
    sentence = _("A new client of %(agent)s, %(client)s, works only after you or another sponsor or owner accepts it.")
    if credential.purpose == ClientCredential.Purpose.SECRET:
        sentence = _(
            "A new secret for %(client)s of %(agent)s works only after you or another sponsor or owner accepts it."
        )
    if credential.purpose == ClientCredential.Purpose.WORKLOAD:
        sentence = _(
            "A workload gets the access of %(agent)s through %(client)s only after you or another sponsor or owner"
            " accepts its rule."
        )
    people = credentials.acceptors(credential.agent, credential.askers)
    url = f"/client-credentials/{credential.pk}/"
    yield Message(Kind.CREDENTIAL, people, _about(credential), sentence % names, url, waits=True)


def _credential_answered(event: Event) -> Iterator[Message]:
    """Tell who asked for a credential that it was refused, or was not accepted in time."""
    if (credential := _credential(event)) is None:
        return
    names = {"client": credential.client_id, "agent": credential.agent.name}
    sentence = _("The credential that you asked for was refused: %(client)s of %(agent)s. Its page says why.")
    if event.action == Action.CLIENT_CREDENTIAL_LAPSED:
        sentence = _("The credential that you asked for was not accepted in time: %(client)s of %(agent)s. Ask again.")
    people = [_person(credential.asked_by)]
    yield Message(
        Kind.CREDENTIAL, people, _about(credential), sentence % names, f"/client-credentials/{credential.pk}/"
    )


def _document_waits(event: Event) -> Iterator[Message]:
    """Tell analysts once that a client which describes itself waits for one of them."""
    if (document := _document(event)) is None or document.state != ClientDocument.State.WAITING:
        return
    analysts = Person.objects.holding(Role.ANALYST)
    sentence = _("A client waits for a decision: %(name)s, which describes itself at %(host)s.") % _names(document)
    url = reverse("client-document-page", args=[document.pk])
    asked = f"client document {document.pk} waits since {document.asked_at}"
    about = f"client:{document.client_id}"
    yield Message(Kind.CREDENTIAL, analysts, about, sentence, url, dedupe=asked, waits=True)


def _document_refused(event: Event) -> Iterator[Message]:
    """Tell those who tried to sign in to a client that it was refused."""
    if (document := _document(event)) is None:
        return
    sentence = _("An analyst refused a client that you tried to sign in to: %(name)s of %(host)s.") % _names(document)
    yield Message(Kind.CREDENTIAL, _tried(document), f"client:{document.client_id}", sentence, "/")


def _document_works(event: Event) -> Iterator[Message]:
    """Tell the owners of a client's agent that it works, and those who tried to sign in to it while it waited."""
    yield from _credential_works(event)
    if (document := _document(event)) is None or document.state != ClientDocument.State.APPROVED:
        return
    sentence = _("You can sign in to a client now that waited for a decision: %(name)s of %(host)s.") % _names(document)
    yield Message(Kind.CREDENTIAL, _tried(document), f"client:{document.client_id}", sentence, "/")


def _document(event: Event) -> ClientDocument | None:
    return ClientDocument.objects.filter(client_id=key(event, "client")).first()


def _names(document: ClientDocument) -> dict[str, str]:
    return {"name": document.name, "host": document.host}


def _tried(document: ClientDocument) -> Iterable[Person]:
    return Person.objects.filter(pk__in=document.tried_by)


def _credential_works(event: Event) -> Iterator[Message]:
    """Tell the people responsible for an agent, and who asked, that a new client, secret or workload rule works."""
    agent = Agent.objects.select_related("sponsor", "owner", "backup").filter(slug=key(event, "agent")).first()
    if agent is None:
        return
    names = {"client": key(event, "client"), "agent": agent.name}
    names["day"] = event.detail.text("previous_ends_at")[:16].replace("T", " ")
    works_on = names["day"] and event.action != Action.CLIENT_CREDENTIAL_ROTATED
    sentence = str(_TWO_WORK if works_on else _NEW[Action(event.action)])
    people = [agent.sponsor, agent.owner, agent.backup, _person(event.detail.text("asked_by"))]
    url = reverse("client-page", args=[agent.slug, names["client"]])
    yield Message(Kind.CREDENTIAL, people, f"client:{names['client']}", sentence % names, url)


_NEW: Final[Mapping[Action, Any]] = {
    Action.CLIENT_REGISTERED: gettext_lazy("%(agent)s has a new client, which works from now on: %(client)s."),
    Action.CLIENT_DOCUMENT_APPLIED: gettext_lazy("%(agent)s has a new client, which works from now on: %(client)s."),
    Action.CLIENT_SECRET_ROTATED: gettext_lazy(
        "%(client)s of %(agent)s has a new secret. The secret before it no longer works."
    ),
    Action.CLIENT_KEYS_REPLACED: gettext_lazy(
        "%(client)s of %(agent)s has new keys. The keys before them no longer work."
    ),
    Action.WORKLOAD_RULE_MADE: gettext_lazy("A workload acts as %(agent)s from now on, through its client %(client)s."),
    Action.CLIENT_ROTATION_REVOKED: gettext_lazy(
        "A rotation of %(client)s of %(agent)s was revoked. The credential before it works again."
    ),
    Action.CLIENT_CREDENTIAL_ROTATED: gettext_lazy(
        "%(client)s of %(agent)s rotated its own credential. The one before works until %(day)s UTC. If the agent did "
        "not do it, revoke the rotation."
    ),
}
_TWO_WORK: Final = gettext_lazy("%(client)s of %(agent)s has a new credential. The one before works until %(day)s UTC.")


def _connection_begun(event: Event) -> Iterator[Message]:
    """Tell a person's manager, else the analysts, that the person has a personal agent from now on."""
    agent = Agent.objects.filter(slug=key(event, "agent")).first()
    person = Person.objects.select_related("manager").filter(login=key(event, "person")).first()
    if agent is None or person is None or not event.detail.get("agent_registered"):
        return
    manager, values = person.manager, {"name": person.name, "client": key(event, "client")}
    sentence = (
        _("%(name)s has a personal agent from now on, by a sign-in at %(client)s. It has no access yet.") % values
    )
    people = [manager] if manager is not None and manager.is_active else Person.objects.holding(Role.ANALYST)
    yield Message(Kind.CREDENTIAL, people, f"agent:{agent.slug}", sentence, f"/agents/{agent.slug}/")


def _credential(event: Event) -> ClientCredential | None:
    rows = ClientCredential.objects.select_related("agent__sponsor", "agent__owner", "agent__backup")
    return rows.filter(pk=bodies.uuid(event.detail.text("proposal"))).first()


def _about(credential: ClientCredential) -> str:
    return f"client:{credential.client_id}"


def _person(principal: str) -> Person | None:
    kind, _colon, login = principal.partition(":")
    return Person.objects.filter(login=login).first() if kind == "person" else None


NOTIFIERS: Final[Mapping[Action, Notifier]] = {
    Action.AGENT_DORMANT: _unneeded,
    Action.AGENT_NEED_ASKED: _unneeded,
    Action.GRANT_SUSPENDED: _suspended,
    Action.PEOPLE_SOURCE_PAUSED: _paused,
    Action.CLIENT_CREDENTIAL_PROPOSED: _credential_waits,
    Action.CLIENT_CREDENTIAL_REFUSED: _credential_answered,
    Action.CLIENT_CREDENTIAL_LAPSED: _credential_answered,
    Action.CLIENT_DOCUMENT_APPLIED: _document_works,
    Action.CLIENT_DOCUMENT_CHANGED: _document_waits,
    Action.CLIENT_DOCUMENT_REFUSED: _document_refused,
    Action.CLIENT_DOCUMENT_WAITING: _document_waits,
    Action.CLIENT_CREDENTIAL_ROTATED: _credential_works,
    Action.CLIENT_KEYS_REPLACED: _credential_works,
    Action.CLIENT_REGISTERED: _document_works,
    Action.CLIENT_ROTATION_REVOKED: _credential_works,
    Action.CLIENT_SECRET_ROTATED: _credential_works,
    Action.CONNECTION_BEGUN: _connection_begun,
    Action.WORKLOAD_RULE_MADE: _credential_works,
    Action.AGENT_OWNERSHIP_DECLINED: _office_answered,
    Action.AGENT_SPONSOR_CHANGED: _office_answered,
    Action.AGENT_OWNER_CHANGED: _office_answered,
    Action.AGENT_BACKUP_CHANGED: _office_answered,
    Action.ONBOARDING_ANSWERED: _adoption_answered,
}
