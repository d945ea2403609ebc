"""A person ends what is connected as them by keyboard; the page is accessible with one connection and with thirty."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import transaction

from audit import clock
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.people.models import Person
from entitlements.token_families.models import TokenFamily
from tests import begun, make
from tests.browser.conftest import PASSWORD, Visitor
from tests.browser.test_gallery import look_at

_NAMES = {"desk-client": ("Desk client", Client.Auth.NONE), "planner": ("Travel planner", Client.Auth.PRIVATE_KEY_JWT)}


def connect(agent: Agent, person: Person, client_id: str, systems: int) -> None:
    """Sign the person in at a client of some systems, and by the company once more."""
    name, auth = _NAMES.get(client_id, (client_id, Client.Auth.NONE))
    client, _ = make.client(agent, client_id, auth=auth)
    make.rewrite(client, name=name)
    for number in range(systems):
        now = clock.now() - timedelta(minutes=40 * number)
        with transaction.atomic():
            session, _ = begun.begin(client, person, uuid.uuid4().hex * 2, auth_time=now, now=now)
        family = make.token_family(session, make.system(f"{client_id}-system-{number}"))
        address = "2001:db8:85a3:8d3:1319:8a2e:370:7348" if number % 2 else "192.0.2.7"
        TokenFamily.objects.filter(pk=family.pk).update(last_used_from=address)
    if auth != Client.Auth.NONE:
        with transaction.atomic():
            begun.begin(client, person, "e" * 64, auth_time=None, now=clock.now())


@pytest.fixture
def alice(transactional_db: None) -> Person:  # noqa: ARG001 - the server reads what is committed
    person = make.person("alice", password=PASSWORD)
    person.name = "Alice Adams"
    person.save()
    return person


def test_a_person_ends_their_only_connection_and_then_everything_of_thirty(visitor: Visitor, alice: Person) -> None:
    connect(make.agent("desk-bot"), alice, "desk-client", 1)
    visitor.sign_in("alice")
    assert not (wrong := look_at(visitor, "connections-one", "/connections/")), "\n".join(wrong)
    visitor.page.set_viewport_size({"width": 1440, "height": 900})
    visitor.go("/")
    visitor.page.get_by_role("link", name="My connections").first.click()
    visitor.tab_to("button[name=end]")
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url("**/connections/?ended=*")
    assert visitor.page.get_by_role("heading", name="Ended everywhere").is_visible()
    assert not (wrong := look_at(visitor, "connections-ended", visitor.page.url.removeprefix(visitor.address)))

    agent = make.agent("trip-bot")
    for client_id, systems in (("planner", 14), ("a-client-with-quite-a-long-name-that-must-break", 15)):
        connect(agent, alice, client_id, systems)
    assert not (wrong := look_at(visitor, "connections-thirty", "/connections/")), "\n".join(wrong)
    visitor.tab_to("#reason")
    visitor.page.keyboard.type("My laptop was stolen.")
    visitor.tab_to("button[value=everything]")
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url("**/connections/?ended=*")
    assert visitor.page.get_by_text("No client is connected as you.").is_visible()
    assert not TokenFamily.objects.filter(ended_at=None).exists()
    assert not visitor.wrong
