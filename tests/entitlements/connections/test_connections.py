"""Who ends a connection, once, with all that came of it and nothing else; and who sees which."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents import personal_agents
from entitlements.clients import clients
from entitlements.clients.models import AuthorizationCode, Client
from entitlements.connections import connections
from entitlements.connections.models import Connection
from entitlements.people.models import Person
from entitlements.sessions.models import Session
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken
from tests import make
from tests.entitlements.api import client

pytestmark = pytest.mark.django_db


def connected(at: Client, person: Person) -> Connection:
    """Connect a person, with a session, a family, a token and a code of the connection."""
    connection, system, now = personal_agents.connect(at, person), make.system(), clock.now()
    later = now + timedelta(minutes=5)
    session = Session.objects.create(
        agent=connection.agent,
        client=at,
        person=person,
        sign_in_sha256=connection.pk.hex * 2,
        started_at=now,
        last_used_at=now,
        expires_at=later,
        auth_time=now,
    )
    family = make.token_family(session, system)
    IssuedToken.objects.create(
        kind="access_token",
        system=system,
        client=at,
        agent=connection.agent,
        person=person,
        session=session,
        family=family.pk,
        issued_at=now,
        expires_at=later,
    )
    AuthorizationCode.objects.create(user=person, application=at, code=connection.pk.hex, expires=later, system=system)
    return connection


def alive(connection: Connection) -> tuple[bool, ...]:
    whose = {"client": connection.client, "person": connection.person}
    return (
        Session.objects.filter(**whose, ended_at=None).exists(),
        TokenFamily.objects.filter(**whose, ended_at=None).exists(),
        IssuedToken.objects.filter(**whose, revoked_at=None).exists(),
        AuthorizationCode.objects.filter(application=connection.client, user=connection.person).exists(),
    )


def test_a_connection_ends_once_with_all_of_it_and_nothing_of_another() -> None:
    alice, bob, at = make.person("alice"), make.person("bob"), make.personal_client()
    mine, theirs = connected(at, alice), connected(at, bob)
    elsewhere = connected(make.personal_client(), alice)

    ended = connections.end(mine.pk, by=alice.principal, reason="new laptop")

    assert (ended.end_reason, alive(mine)) == ("new laptop", (False,) * 4)
    assert [alive(each) for each in (theirs, elsewhere)] == [(True,) * 4] * 2
    assert mine.agent.status == "active"
    event = Event.objects.get(action="connection.ended")
    assert (event.actor, event.reason) == ("person:alice", "new laptop")
    assert {f"connection:{mine.pk}", "person:alice", f"agent:{mine.agent.slug}"} <= set(event.about)
    with pytest.raises(connections.ConnectionEnded):
        connections.end(mine.pk, by=SYSTEM, reason="again")
    assert Event.objects.filter(action="connection.ended").count() == 1


@pytest.mark.parametrize(("who", "status"), [("person", 200), ("analyst", 200), ("sponsor", 200), ("other", 404)])
def test_its_person_an_analyst_and_the_agents_sponsor_end_it_and_no_other(who: str, status: int) -> None:
    alice, sponsor = make.person("alice"), make.person("sofia")
    connection = connected(make.personal_client(), alice)
    connection.agent.sponsor = sponsor
    connection.agent.save()
    by = {"person": alice, "analyst": make.analyst(), "sponsor": sponsor, "other": make.person("mallory")}[who]

    answer = client.of(by).post(f"/api/v1/connections/{connection.pk}/end", {"reason": "over"})

    assert answer.status_code == status, answer.content
    assert alive(connection) == (status != 200,) * 4
    listed = client.of(by).get("/api/v1/connections?open=false").json()["results"]
    assert len(listed) == (status == 200)


def test_a_list_names_client_agent_and_person_and_says_whose_name_is_claimed() -> None:
    alice, keys = make.person("alice"), {"keys": [make.PUBLIC_KEY]}
    claimed, proven = (
        connected(make.personal_client("desk"), alice),
        connected(make.personal_client("app", auth=Client.Auth.PRIVATE_KEY_JWT, jwks=keys), alice),
    )
    rows = {row["client"]: row for row in client.of(alice).get("/api/v1/connections?open=true").json()["results"]}
    assert {name: row["name_is_claimed"] for name, row in rows.items()} == {"desk": True, "app": False}
    assert {row["agent"] for row in rows.values()} == {claimed.agent.slug, proven.agent.slug}
    (named,) = client.of(make.analyst()).get("/api/v1/connections?client=app").json()["results"]
    assert (named["id"], named["person"]) == (str(proven.pk), "alice")


def test_an_analyst_registers_a_client_of_personal_agents_and_the_inventory_says_so() -> None:
    body = {"client_id": "desk", "auth": "none", "serves": "personal_agents", "redirect_uris": ["http://127.0.0.1/"]}
    ana = client.proven(make.analyst("ana"))
    made = ana.post("/api/v1/clients", body)
    assert (made.status_code, made.json()["serves"], made.json()["name_is_claimed"]) == (201, "personal_agents", True)
    event = Event.objects.get(action="client.registered")
    assert (event.detail["serves"], event.detail["name_is_claimed"]) == ("personal_agents", True)
    found = ana.get("/api/v1/clients?serves=personal_agents").json()["results"]
    assert [each["client_id"] for each in found] == ["desk"]
    agent = make.agent("bot")
    for more in ({"agent": agent.slug}, {"api_scopes": ["mandate:read"]}):
        refused = ana.post("/api/v1/clients", {**body, "client_id": "other", **more})
        assert (refused.status_code, refused.json()["code"]) == (409, "client_serves_personal_agents")
    assert not Client.objects.filter(client_id="other").exists()


def test_a_client_of_one_agent_connects_no_person() -> None:
    at, _ = make.client(make.agent())
    with pytest.raises(personal_agents.ClientServesNoPersonalAgents):
        personal_agents.connect(at, make.person())


def test_the_database_keeps_one_open_connection_of_a_person_and_no_agent_beside_personal_ones() -> None:
    connection = connected(make.personal_client(), make.person())
    other = {"agent": make.agent("other"), "client": connection.client, "person": connection.person}
    for more in ({**other}, {**other, "agent": connection.agent, "person": make.person()}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Connection.objects.create(**more, began_at=clock.now())
    for columns in ({"agent": make.agent("own")}, {"api_scopes": ["mandate:read"]}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Client.objects.filter(pk=connection.client_id).update(**columns)


def test_disabling_the_client_leaves_the_connection_and_ends_its_sign_ins() -> None:
    connection = connected(make.personal_client(), make.person())
    clients.disable(connection.client, by=SYSTEM, reason="odd")
    assert Connection.objects.get().ended_at is None
    assert alive(connection)[:2] == (False, False)
