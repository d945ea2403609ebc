"""A client, a key or a secret of an agent works once a person responsible for it asked for it or accepted it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audit import clock
from audit.context import Principal
from audit.export import timeline
from entitlements.agents import agents
from entitlements.agents.models import Agent
from entitlements.clients import acceptance, callers, clients, credentials
from entitlements.clients.models import Client, ClientCredential
from entitlements.errors import Forbidden
from entitlements.people import people
from entitlements.people.models import Person
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company

pytestmark = pytest.mark.django_db

made_world, company = shared.world(companies.found)


def register(
    agent: Agent | None, by: Principal, client_id: str = "desk", api_scopes: Sequence[str] = ()
) -> clients.Registered:
    """Register a client that signs in with a shared secret."""
    auth = Client.Auth.CLIENT_SECRET_BASIC
    return clients.register(client_id, agent=agent, auth=auth, api_scopes=api_scopes, by=by)


def waiting(company: Company, client_id: str = "desk") -> ClientCredential:
    """Let an analyst ask for a client of research-bot."""
    credential = register(company.bot, company.ana.principal, client_id).waiting
    assert credential is not None
    return credential


def second_account(person: Person, login: str) -> Person:
    """Make another account of a person, by the same address of mail."""
    made = make.person(login)
    Person.objects.filter(pk=made.pk).update(email=person.email.upper())
    made.refresh_from_db()
    return made


def test_a_client_that_an_analyst_alone_asks_for_authenticates_nothing_before_it_is_accepted(company: Company) -> None:
    asked = register(company.bot, company.ana.principal)
    assert (asked.client, callers.by_id("desk")) == (None, None)
    assert asked.secret is not None
    assert asked.waiting is not None
    made = acceptance.accept(asked.waiting.pk, by=company.sofia)
    assert made.secret_sha256 == clients.secret_digest(asked.secret)
    assert callers.by_id("desk") is not None
    events = [(each.action, each.actor) for each in timeline.about("client:desk")]
    assert events == [("client.credential_proposed", "person:ana"), ("client.registered", "person:sofia")]
    for event in timeline.about("client:desk"):
        assert (event.detail["asked_by"], event.detail["proposal"]) == ("person:ana", str(asked.waiting.pk))


@pytest.mark.parametrize("office", ["sponsor", "owner", "backup"])
def test_who_is_responsible_registers_a_client_at_once_and_accepts_what_others_ask_for(
    company: Company, office: str
) -> None:
    Agent.objects.filter(pk=company.bot.pk).update(backup=company.mona)
    person = getattr(Agent.objects.get(pk=company.bot.pk), office)
    assert register(company.bot, person.principal, "own").client is not None
    assert acceptance.accept(waiting(company).pk, by=person).agent == company.bot
    assert Client.objects.filter(agent=company.bot, status="active").count() == 2


def test_no_other_person_accepts_whatever_their_role(company: Company) -> None:
    credential = waiting(company)
    for person in (company.ana, company.resa, company.sam, make.person("ada", roles=["admin"])):
        with pytest.raises(acceptance.NotResponsible):
            acceptance.accept(credential.pk, by=person)
    people.disable(company.otto, by=company.resa.principal, reason="Left.")
    with pytest.raises(acceptance.NotResponsible):
        acceptance.accept(credential.pk, by=company.otto)
    assert not Client.objects.exists()


def test_a_new_secret_waits_while_the_old_one_works(company: Company) -> None:
    before = register(company.bot, company.otto.principal)
    assert before.client is not None
    asked = clients.rotate_secret(before.client, by=company.ana.principal, reason="It was in a log.")
    before.client.refresh_from_db()
    assert before.client.secret_sha256 == clients.secret_digest(before.secret or "")
    assert asked.waiting is not None
    changed = acceptance.accept(asked.waiting.pk, by=company.otto)
    assert changed.secret_sha256 == clients.secret_digest(asked.secret or "")
    at_once = clients.rotate_secret(changed, by=company.sofia.principal, reason="Again.")
    changed.refresh_from_db()
    assert changed.secret_sha256 == clients.secret_digest(at_once.secret or "")


def test_a_second_account_of_who_asked_does_not_accept_and_asks_for_no_acceptance_of_its_own(company: Company) -> None:
    twin = second_account(company.sofia, "sofia-admin")
    credential = register(company.bot, twin.principal).waiting
    assert credential is not None
    with pytest.raises(acceptance.AskedByOwnAccount):
        acceptance.accept(credential.pk, by=company.sofia)
    assert acceptance.accept(credential.pk, by=company.otto).client_id == "desk"


def test_an_agent_without_a_person_who_can_accept_gets_no_client(company: Company) -> None:
    people.disable(company.otto, by=company.resa.principal, reason="Left.")
    twin = second_account(company.sofia, "sofia-admin")
    with pytest.raises(credentials.NoAcceptor):
        register(company.bot, twin.principal)
    people.disable(company.sofia, by=company.resa.principal, reason="Left.")
    with pytest.raises(credentials.NoAcceptor):
        register(company.bot, company.ana.principal)
    assert not ClientCredential.objects.exists()


def test_a_script_and_the_agent_itself_are_not_responsible(company: Company) -> None:
    register(None, company.otto.principal, "script")
    for number, by in enumerate((Principal("client", "script"), company.bot.principal)):
        assert register(company.bot, by, f"desk-{number}").waiting is not None


def test_a_script_of_the_platform_belongs_to_no_agent_and_needs_no_acceptance(company: Company) -> None:
    assert register(None, company.ana.principal, "script").client is not None
    assert not ClientCredential.objects.exists()


def test_a_credential_is_answered_once(company: Company) -> None:
    credential = waiting(company)
    acceptance.refuse(credential.pk, by=company.otto.principal, reason="It is not ours.")
    with pytest.raises(acceptance.AlreadyAnswered):
        acceptance.accept(credential.pk, by=company.sofia)
    with pytest.raises(acceptance.AlreadyAnswered):
        acceptance.refuse(credential.pk, by=company.sofia.principal, reason="Neither.")
    assert [each.action for each in timeline.about("client:desk")][1:] == ["client.credential_refused"]
    assert acceptance.accept(waiting(company).pk, by=company.sofia).client_id == "desk"  # the name is free again


def test_a_newer_one_replaces_what_waits_and_takes_no_name_of_another_agent(company: Company) -> None:
    first, second = waiting(company), waiting(company)
    with pytest.raises(acceptance.AlreadyAnswered):
        acceptance.accept(first.pk, by=company.sofia)
    with pytest.raises(clients.ClientIdTaken):
        register(make.agent(), company.ana.principal)
    with pytest.raises(clients.ClientIdTaken):
        register(None, company.ana.principal)
    assert acceptance.accept(second.pk, by=company.sofia).agent == company.bot


def test_what_is_not_accepted_in_time_lapses_and_is_over_before_a_job_ran(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential, later = waiting(company), clock.now() + timedelta(days=14, seconds=1)
    assert acceptance.lapse_due() == 0
    monkeypatch.setattr(clock, "now", lambda: later)
    with pytest.raises(acceptance.Lapsed):
        acceptance.accept(credential.pk, by=company.sofia)
    assert (acceptance.lapse_due(), acceptance.lapse_due()) == (1, 0)
    with pytest.raises(acceptance.Lapsed):
        acceptance.accept(credential.pk, by=company.sofia)
    assert timeline.about("client:desk").filter(action="client.credential_lapsed").count() == 1
    assert waiting(company).state == "waiting"


def test_what_a_new_client_has_to_pass_is_asked_again_when_it_is_accepted(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential = register(company.bot, company.ana.principal, api_scopes=["mandate:read"]).waiting
    assert credential is not None

    def refuse(_agent: Agent, scopes: object) -> None:
        raise Forbidden(str(scopes))

    monkeypatch.setitem(clients.GUARD._answers, "apart", refuse)
    with pytest.raises(Forbidden):
        acceptance.accept(credential.pk, by=company.sofia)
    monkeypatch.delitem(clients.GUARD._answers, "apart")
    agents.retire(company.bot, by=company.ana.principal, reason="Done.")
    with pytest.raises(clients.AgentRetired):
        acceptance.accept(credential.pk, by=company.sofia)


# ------------------------------------------------------------------------------------------- the last line


def refused(act: Any) -> str:  # noqa: ANN401 - any write
    """Say by which constraint the database refuses a write."""
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        act()
    return str(caught.value.__cause__.diag.constraint_name)  # type: ignore[union-attr]


def test_the_database_holds_no_live_client_of_an_agent_whose_credential_was_not_accepted(company: Company) -> None:
    credential, held = waiting(company), make.client(company.bot, "held", auth="client_secret_basic")[0]
    live = {"client_id": "desk", "agent": company.bot, "auth": credential.auth}
    row = Client.objects.filter(pk=held.pk)
    writes = (
        lambda: Client.objects.create(**live, secret_sha256=credential.secret_sha256, hash_client_secret=False),
        lambda: row.update(secret_sha256="0" * 64),
        lambda: row.update(jwks={"keys": []}),
        lambda: row.update(redirect_uris="https://elsewhere.example"),
        lambda: row.update(agent=make.agent()),
    )
    assert {refused(write) for write in writes} == {"a_live_client_holds_what_was_accepted"}
    row.update(status="disabled")  # a stop is never refused
    row.update(secret_sha256="0" * 64)
    assert refused(lambda: row.update(status="active")) == "a_live_client_holds_what_was_accepted"


def test_the_database_takes_an_acceptance_only_of_a_responsible_person_and_once(company: Company) -> None:
    row = ClientCredential.objects.filter(pk=waiting(company).pk)
    accepted: dict[str, Any] = {"state": "accepted", "answered_by": "person:x", "answered_at": clock.now()}
    name = "a_credential_is_accepted_by_who_is_responsible"
    assert refused(lambda: row.update(**accepted, acceptor=company.ana)) == name
    people.disable(company.otto, by=company.resa.principal, reason="Left.")
    assert refused(lambda: row.update(**accepted, acceptor=company.otto)) == name
    Person.objects.filter(pk=company.ana.pk).update(email=company.sofia.email.upper())
    assert refused(lambda: row.update(**accepted, acceptor=company.sofia)) == name
    Person.objects.filter(pk=company.ana.pk).update(email="ana@example.org")
    named = "an_accepted_credential_names_its_acceptor"
    assert refused(lambda: row.update(**accepted, acceptor=None)) in {name, named}
    once = "a_credential_is_answered_once_as_it_was_asked_for"
    assert refused(lambda: row.update(secret_sha256="0" * 64)) == once
    assert refused(lambda: row.update(precedes_acceptance=True)) == once
    late = clock.now() + timedelta(days=20)
    assert (
        refused(lambda: row.update(**{**accepted, "answered_at": late}, acceptor=company.sofia))
        == "a_credential_is_accepted_in_time"
    )
    row.update(**accepted, acceptor=company.sofia)
    assert refused(lambda: row.update(state="refused", acceptor=None)) == once
