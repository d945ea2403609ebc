"""A sign-in without access: the page says so, and the client gets a token by which it can request some."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from audit.context import SYSTEM
from entitlements.catalog.models import Entitlement, System
from entitlements.clients.models import AuthorizationCode, Client
from entitlements.grants import grants
from entitlements.token_families.models import TokenFamily
from tests import make
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.sign_ins import agree, question, redeem, signed_in
from tests.entitlements.edge.test_sign_in import ask, desk
from tests.entitlements.edge.worlds import World

__all__ = ["desk"]


def test_a_person_without_access_reads_so_and_lets_the_client_request_it(world: World, desk: Client) -> None:
    grants.revoke(world.grant.pk, by=SYSTEM, reason="over")
    text = ask(world).content.decode()
    assert f"{world.agent.name} has no access to {world.system.name} for you yet." in text
    assert f"what is granted to {world.agent.name} for you later at {world.system.name}" in text
    assert "It may</th>" not in text

    answer = redeem(world, agree(world)["code"])

    assert (answer.status, answer.body["scope"]) == (200, "")
    assert worlds.peek(answer.body["access_token"])["agreed_scope"] == "*"
    assert TokenFamily.objects.get().client == desk


def test_the_page_names_what_is_asked_for_and_not_held(world: World, desk: Client) -> None:
    more = make.entitlement(world.system, scope="time:more")
    Entitlement.objects.filter(pk=more.pk).update(name="Change the clock")
    asked_for = "of this, without asking you again: Change the clock."
    assert asked_for in ask(world, scope="time:read time:more").content.decode()
    assert asked_for not in ask(world, scope="time:read").content.decode()
    answer = redeem(world, agree(world, scope="time:more")["code"])
    assert (answer.body["scope"], worlds.peek(answer.body["access_token"])["agreed_scope"]) == ("", "time:more")
    assert desk.pk


def test_what_no_request_would_change_is_refused_on_the_page(world: World, desk: Client) -> None:
    refused_for(world, lambda: grants.suspend(world.grant.pk, by=SYSTEM, reason="for now"), "The grant is suspended.")
    assert desk.pk


def test_at_a_system_that_looks_at_tokens_itself_a_person_is_led_to_the_request(world: World, desk: Client) -> None:
    System.objects.filter(pk=world.system.pk).update(kind="mcp", upstream_url="https://time.example/mcp")
    world.system.refresh_from_db()
    text = refused_for(world, lambda: grants.revoke(world.grant.pk, by=SYSTEM, reason="over"), "has no access")
    assert f"/requests/new/?agent={world.agent.slug}&amp;system={world.system.slug}" in text
    assert desk.pk


def refused_for(world: World, spoil: Callable[[], object], sentence: str) -> str:
    """Show that nothing can be agreed to any more, nor by the form of before; return the page."""
    form = {**flow.form(ask(world).content.decode()), "allow": "1"}
    spoil()
    text: str = ask(world).content.decode()
    answer = world.http.post(f"{sign_ins.address(world)}?{urlencode(question(world))}", form)

    assert sentence in text
    assert 'name="allow"' not in text
    assert sign_ins.sent_back(answer)["error"] == "access_denied"
    assert not AuthorizationCode.objects.exists()
    return text


@pytest.mark.parametrize(
    ("scope", "says_so"), [(None, True), ("openid offline_access", True), ("time:read", False)], ids=str
)
def test_the_page_says_that_later_access_is_included_where_no_scope_is_asked_for(
    world: World,
    desk: Client,
    scope: str | None,
    says_so: bool,  # noqa: FBT001 - a parameter
) -> None:
    said = f"what is granted to {world.agent.name} for you later at {world.system.name}"
    assert (said in ask(world, scope=scope).content.decode()) is says_so
    signed_in(world, scope=scope)
    assert (TokenFamily.objects.get().scope == "") is says_so
    assert desk.pk
