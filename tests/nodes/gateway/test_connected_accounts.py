"""Calls with a person's own account at the system: connected, refreshed once, ended on every node, revoked there."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements import tasks
from entitlements.catalog.models import System
from entitlements.connected_accounts import accounts, offers
from entitlements.connected_accounts.models import ConnectedAccount
from entitlements.people import people
from entitlements.revocation import revocation
from entitlements.revocation.revocation import Target
from entitlements.secrets import vault
from tests import make, waits
from tests.entitlements.connected_accounts import worlds
from tests.entitlements.connected_accounts.account_server import AccountServer
from tests.entitlements.connected_accounts.worlds import Guarded, Place
from tests.nodes.gateway import rest_world, world
from tests.nodes.gateway.world import Gateway


@pytest.fixture(scope="module")
def other_node(database: None) -> Iterator[Gateway]:  # noqa: ARG001 - it reads the database
    with world.gateway("node-2") as running:
        yield running


@pytest.fixture
def vendor() -> Iterator[AccountServer]:
    with worlds.vendor() as server:
        yield server


@pytest.fixture
def upstream(vendor: AccountServer) -> Iterator[Guarded]:
    with worlds.guarded(vendor) as server:
        yield server


@pytest.fixture
def place(node: Gateway, vendor: AccountServer, upstream: Guarded, settings: Settings) -> Place:  # noqa: ARG001 - it runs
    settings.DEMO = True
    return worlds.place(vendor, upstream)


def denied(node: Gateway, of: world.World, token: str | None = None) -> tuple[str, str]:
    """Call, and return the code of the denial and what it says."""
    answer = node.call(of, token, do="answer").json()
    if "error" in answer:
        return answer["error"]["data"]["code"], answer["error"]["message"]
    return answer["result"]["_meta"]["mandate/denial"]["code"], answer["result"]["content"][0]["text"]


def works(node: Gateway, of: world.World) -> bool:
    return bool(
        node.call(of, do="answer").json().get("result", {}).get("content") == [{"type": "text", "text": "done"}]
    )


def wait_until_due(account: ConnectedAccount) -> None:
    """Let the next try of a revocation be due."""
    ConnectedAccount.objects.filter(pk=account.pk).update(revocation_due_at=clock.now() - timedelta(seconds=1))


def test_a_call_needs_the_account_of_its_person_and_says_where_to_connect_it(node: Gateway, place: Place) -> None:
    here = place.here
    code, text = denied(node, here)
    assert code == "account_not_connected"
    assert f"/connected-accounts/{here.system.slug}/" in text
    assert place.upstream.requests == []
    account = place.connect()
    answer = node.call(here, do="repeat")
    assert (answer.status_code, "secret_in_answer" in answer.text) == (200, True)
    assert not any(secret in answer.text for secret in place.vendor.secrets)
    assert place.leaked() == []
    assert [event.action for event in here.events(f"connected_account:{account.pk}")] == ["connected_account.connected"]


def test_an_agent_that_acts_for_no_person_is_denied(node: Gateway, place: Place) -> None:
    place.connect()
    here = place.here
    agent = make.agent(kind="service")
    client, _ = make.client(agent)
    make.grant(agent, here.entitlement)
    alone = world.World(
        here.system, here.tool, here.entitlement, agent, client, here.person, here.grant, here.session, here.arguments
    )
    token = alone.token(sub=client.client_id, act=None, sid=None)
    assert denied(node, alone, token)[0] == "account_needs_person"
    assert place.upstream.requests == []


def test_another_client_of_the_agent_and_another_agent_need_a_consent_of_their_own(node: Gateway, place: Place) -> None:
    account = place.connect()
    other, personal = place.here.with_another_client(), place.here.with_personal_agent()
    assert works(node, place.here)
    for confused in (other, personal):
        code, text = denied(node, confused)
        assert (code, "has not let this agent use their account" in text) == ("account_not_connected", True)
    keys = [offer.key for offer in offers.for_person(place.here.person, place.here.system)]
    assert (personal.client.pk, personal.agent.pk) in keys
    accounts.choose_clients(account.pk, [(personal.client.pk, personal.agent.pk)], by=place.here.person)
    assert works(node, personal)
    assert denied(node, place.here)[0] == "account_not_connected"


def test_two_nodes_refresh_once_so_that_no_rotated_token_is_lost(
    node: Gateway, other_node: Gateway, place: Place
) -> None:
    place.connect()
    token = place.here.token()
    assert node.call(place.here, token, do="answer").status_code == 200
    place.vendor.expire()
    ConnectedAccount.objects.update(refreshed_at=None)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(each.call, place.here, token, do="answer") for each in (node, other_node) * 4]
    assert [call.result().json().get("result", {}).get("isError", False) for call in calls] == [False] * 8
    assert place.vendor.refreshes() == 1
    place.vendor.expire()
    ConnectedAccount.objects.update(refreshed_at=None)
    assert works(other_node, place.here), "the rotated refresh token of the other node is known"
    assert place.account().version == 3


def test_a_refresh_that_is_refused_marks_the_account_broken_and_the_person_is_told(
    node: Gateway, vendor: AccountServer, upstream: Guarded, settings: Settings
) -> None:
    settings.DEMO = True
    vendor.lifetime = 1
    place = worlds.place(vendor, upstream)
    account = place.connect()
    for each in vendor.issued:
        each.is_revoked_now = True
    waits.until(lambda: denied(node, place.here)[0] == "account_not_connected")
    assert upstream.calls == []
    tasks.look_after_connected_accounts()
    account.refresh_from_db()
    assert account.state == "broken"
    broken = Event.objects.get(action="connected_account.broken", links__contains=[f"connected_account:{account.pk}"])
    assert f"person:{place.here.person.login}" in broken.about
    assert denied(node, place.here)[0] == "account_not_connected"


def test_a_token_endpoint_that_is_down_breaks_no_account(
    node: Gateway, vendor: AccountServer, upstream: Guarded, settings: Settings
) -> None:
    settings.DEMO = True
    vendor.lifetime = 1
    place = worlds.place(vendor, upstream)
    account = place.connect()
    vendor.expire()
    vendor.token_status, vendor.lifetime = 503, 3600
    waits.until(lambda: node.call(place.here, do="answer").status_code == 502)
    account.refresh_from_db()
    assert (account.state, account.refused_at, account.claim) == ("active", None, None)
    vendor.token_status = 200
    assert works(node, place.here)


def test_an_account_that_ends_is_gone_on_every_node_and_its_tokens_at_the_vendor(
    node: Gateway, other_node: Gateway, place: Place
) -> None:
    account = place.connect()
    assert works(node, place.here)
    token = place.here.token()
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(node.call, place.here, token, do="hang")
        assert place.upstream.started.wait(waits.SECONDS)
        waits.until(lambda: bool(place.upstream.calls[-1]["params"]["arguments"]["do"] == "hang"))
        accounts.end(account.pk, by=place.here.person.principal, reason="No longer needed.")
        assert "call_withdrawn" in hanging.result(waits.SECONDS).text
    assert place.upstream.cancelled.wait(waits.SECONDS)
    for each in (node, other_node):
        assert denied(each, place.here)[0] == "account_not_connected"
    tasks.look_after_connected_accounts()
    account.refresh_from_db()
    assert (account.state, account.revocation, account.sealed) == ("ended", "revoked", None)
    assert place.vendor.live == set()
    tasks.look_after_connected_accounts()
    settled = place.here.events(f"connected_account:{account.pk}")
    assert [event.action for event in settled][1:] == [
        "connected_account.ended",
        "foreign_token.measured",
        "connected_account.revocation_settled",
    ]
    assert place.leaked() == []


def test_the_last_grants_end_and_a_disabled_person_revoke_at_the_vendor(node: Gateway, place: Place) -> None:
    account = place.connect()
    assert works(node, place.here)
    tasks.look_after_connected_accounts()
    account.refresh_from_db()
    assert account.ended_at is None
    receipt = revocation.revoke(Target("grant", str(place.here.grant.pk)), by=SYSTEM, reason="Over.")
    tasks.look_after_connected_accounts()
    account.refresh_from_db()
    assert (account.revocation, account.end_reason) == ("revoked", accounts.NO_GRANT)
    assert receipt.receipt
    make.grant(place.here.agent, place.here.entitlement, people=[place.here.person])
    second = place.connect()
    people.disable(place.here.person, by=SYSTEM, reason="Left.")
    tasks.look_after_connected_accounts()
    second.refresh_from_db()
    assert (second.revocation, second.end_reason) == ("revoked", accounts.PERSON_OVER)
    assert place.vendor.live == set()


def test_a_revocation_that_fails_is_tried_again_recorded_and_named_on_the_receipt(place: Place) -> None:
    account = place.connect()
    accounts.end(account.pk, by=SYSTEM, reason="Over.")
    place.vendor.revocation_status = 503
    tasks.look_after_connected_accounts()
    account.refresh_from_db()
    assert (account.revocation, account.revocation_tries, account.sealed is None) == ("pending", 1, False)
    tasks.look_after_connected_accounts()
    account.refresh_from_db()
    assert account.revocation_tries == 1, "it is asked again later"
    place.vendor.revocation_status = 400
    wait_until_due(account)
    tasks.look_after_connected_accounts()
    account.refresh_from_db()
    assert (account.revocation, account.sealed) == ("refused", None)
    stopped = revocation.revoke(Target("person", place.here.person.login), by=SYSTEM, reason="Left.", wait=False)
    assert {
        "what": "tokens of 1 connected account that the vendor did not revoke",
        "where": place.here.system.slug,
        "dies_at": None,
    } in stopped.residual


def test_another_client_at_the_vendor_ends_the_accounts_and_gets_no_token(node: Gateway, place: Place) -> None:
    account = place.connect()
    seen = len(place.vendor.forms)
    settings = {"client_id": "another", "issuer": place.vendor.issuer}
    vault.set_secret(place.here.system, kind="oauth_user", value="another-secret", settings=settings, by=SYSTEM)
    waits.until(lambda: denied(node, place.here)[0] == "account_not_connected")
    tasks.look_after_connected_accounts()
    account.refresh_from_db()
    assert (account.end_reason, account.revocation) == (accounts.OTHER_CREDENTIAL, "unknown")
    assert len(place.vendor.forms) == seen


def test_another_host_of_the_system_gets_no_token(node: Gateway, place: Place) -> None:
    account = place.connect()
    assert works(node, place.here)
    seen = len(place.upstream.requests)
    System.objects.filter(pk=place.here.system.pk).update(
        upstream_url=place.upstream.url.replace("localhost", "127.0.0.1")
    )
    worlds.register(place.here.system, place.vendor)
    waits.until(lambda: denied(node, place.here)[0] == "account_not_connected")
    assert len(place.upstream.requests) == seen
    tasks.look_after_connected_accounts()
    account.refresh_from_db()
    assert (account.state, account.revocation) == ("broken", "revoked")


def test_the_session_at_a_legacy_system_is_of_one_account(
    node: Gateway, vendor: AccountServer, settings: Settings
) -> None:
    settings.DEMO = True
    with worlds.guarded(vendor, is_modern=False) as server:
        place = worlds.place(vendor, server)
        place.connect()
        assert works(node, place.here)
        assert works(node, place.here)
        assert len(server.sessions) == 1
        place.connect()
        assert works(node, place.here)
        assert len(server.sessions) == 2, "another account, another session"


def test_a_rest_api_is_called_with_the_account_as_well(
    node: Gateway, vendor: AccountServer, upstream: Guarded, settings: Settings
) -> None:
    settings.DEMO = True
    with rest_world.service() as service:
        here = rest_world.build(service.url)
        worlds.register(here.system, vendor)
        place = worlds.Place(here, vendor, upstream)
        refused = rest_world.ask(node, here, "GET", "/orders")
        assert (refused.status_code, refused.json()["code"]) == (403, "account_not_connected")
        assert refused.json()["connect_account"].endswith(f"/connected-accounts/{here.system.slug}/")
        assert service.seen == []
        place.connect()
        answer = rest_world.ask(node, here, "GET", "/orders?do=text")
        assert (answer.status_code, answer.json()["code"]) == (502, "secret_in_answer")
        assert service.seen[-1][2]["authorization"] == f"Bearer {vendor.issued[-1].access}"
