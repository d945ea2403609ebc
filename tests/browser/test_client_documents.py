"""A client never seen before: a person reads who it is and agrees, or an analyst decides first on the console."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from pytest_django.fixtures import Settings

from entitlements.client_documents.models import ClientDocument
from entitlements.clients.models import Client
from entitlements.people.models import Person, Role
from tests import make
from tests.browser.conftest import PASSWORD, Visitor, leave
from tests.browser.test_gallery import look_at
from tests.entitlements.client_documents import company
from tests.entitlements.client_documents import site as sites
from tests.entitlements.client_documents.site import Site
from tests.entitlements.edge.sign_ins import CHALLENGE


@pytest.fixture
def site(settings: Settings) -> Iterator[Site]:
    settings.DEMO = True  # servers on loopback
    with sites.served() as served:
        served.pages["/callback"] = sites.Page(b"<!doctype html><title>Done</title>", {"Content-Type": "text/html"})
        yield served


@pytest.fixture
def ana(transactional_db: None) -> Person:  # noqa: ARG001 - the server reads what is committed
    alice, ana = make.person("alice", password=PASSWORD), make.person("ana", roles=[Role.ANALYST], password=PASSWORD)
    sponsor = make.person("sofia", password=PASSWORD)
    system = make.system("crm")
    tools = [make.tool(system, "find_customer", sentence="Finds a customer by name or number.")]
    agent = make.agent("desk-bot", sponsor=sponsor)
    make.grant(agent, make.entitlement(system, *tools, scope="crm:use"), people=[alice])
    return ana


def address(site: Site, client_id: str) -> str:
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": site.url("/callback"),
        "state": "s1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return f"/as/crm/authorize?{urlencode(asked)}"


def test_a_person_meets_a_client_of_an_allowed_host(visitor: Visitor, site: Site, ana: Person) -> None:
    from entitlements.agents.models import Agent  # noqa: PLC0415 - the product can be imported only now

    company.allow(site.url("/"), Agent.objects.get(slug="desk-bot"), ana)
    client_id = site.document(client_name="Desk client", redirect_uris=[site.url("/callback")])
    visitor.sign_in("alice")
    wrong = look_at(visitor, "consent-document", address(site, client_id))
    assert not wrong, "\n".join(wrong)
    assert not Client.objects.filter(client_id=client_id).exists()

    visitor.go(address(site, client_id))
    visitor.page.get_by_role("button", name="Allow").click()
    visitor.page.wait_for_url(f"{site.url('/callback')}?**")

    assert "code=" in visitor.page.url
    assert Client.objects.filter(client_id=client_id).exists()


def test_an_analyst_decides_about_a_client_of_another_host(visitor: Visitor, site: Site, ana: Person) -> None:
    client_id = site.document(client_name="Claude Code", redirect_uris=[site.url("/callback")])
    visitor.sign_in("alice")
    wrong = look_at(visitor, "client-waits", address(site, client_id))
    visitor.page.get_by_role("link", name="Back to the client").click()
    visitor.page.wait_for_url(f"{site.url('/callback')}?**")
    assert "error=access_denied" in visitor.page.url

    leave(visitor.page)
    visitor.sign_in(ana.login)
    wrong += look_at(visitor, "client-settings", "/settings/clients/")
    wrong += look_at(visitor, "client-host-propose", "/settings/clients/propose/")
    wrong += look_at(visitor, "client-document", f"/settings/clients/documents/{ClientDocument.objects.get().pk}/")
    assert not wrong, "\n".join(wrong)
    visitor.go("/settings/clients/")
    visitor.page.get_by_role("link", name="Claude Code").click()
    visitor.page.get_by_role("combobox", name="The shared agent").fill("desk-bot")
    visitor.page.get_by_role("button", name="Approve", exact=True).click()
    visitor.page.wait_for_load_state()
    assert ClientDocument.objects.get().state == "approved"
