"""Connecting an account at a real authorization server: the answer counts once, for who began, at its own address."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

import pytest
from pytest_django.fixtures import Settings

from audit import clock
from audit.context import SYSTEM
from entitlements.connected_accounts import accounts, connect, errors, tokens
from entitlements.connected_accounts.models import AccountSignIn, ConnectedAccount
from entitlements.errors import DomainError, Forbidden
from entitlements.people import people
from entitlements.secrets import vault
from tests import make
from tests.entitlements.connected_accounts import worlds
from tests.entitlements.connected_accounts.account_server import SECRET, AccountServer
from tests.entitlements.connected_accounts.worlds import Guarded, Place
from tests.nodes.gateway import world

pytestmark = [pytest.mark.loopback, pytest.mark.django_db]


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[AccountServer, AccountServer]]:
    with worlds.vendor() as one, worlds.vendor() as other:
        yield one, other


@pytest.fixture
def vendor(servers: tuple[AccountServer, AccountServer], settings: Settings) -> AccountServer:
    settings.DEMO = True
    return servers[0]


@pytest.fixture
def place(vendor: AccountServer) -> Place:
    upstream = Guarded(vendor)
    upstream.url = "http://localhost:1/mcp"
    return worlds.place(vendor, upstream)


def changed(address: str, **changes: str | None) -> str:
    """Return an address with other parameters; None leaves one out."""
    split = urlsplit(address)
    known = dict(parse_qsl(split.query)) | changes
    query = urlencode({name: text for name, text in known.items() if text is not None})
    return urlunsplit((*split[:3], query, ""))


def refused(place: Place, back: str, kind: type[DomainError], **who: object) -> None:
    """Check that an answer connects nothing, and that it cannot be brought again."""
    with pytest.raises(kind):
        place.finish(back, **who)  # type: ignore[arg-type] # a person or a browser
    assert not ConnectedAccount.objects.filter(system=place.here.system, ended_at=None).exists()


def test_the_request_is_bound_by_state_and_pkce_and_holds_no_secret(place: Place) -> None:
    address = place.begin()
    asked = parse_qs(urlsplit(address).query)
    assert asked["redirect_uri"] == [connect.redirect_uri(place.here.system)]
    assert (asked["code_challenge_method"], asked["response_type"], asked["scope"]) == (["S256"], ["code"], ["read"])
    row = AccountSignIn.objects.get()
    assert asked["state"][0] not in str(row.__dict__)
    assert worlds.BROWSER not in str(row.__dict__)
    assert SECRET not in address
    account = place.finish(place.vendor.authorize(address))
    assert account.consents.get().client == place.here.client
    assert not any(secret in str(account.__dict__) for secret in place.vendor.secrets)
    held = tokens.opened(bytes(account.sealed or b""), account.pk)
    assert held.access == place.vendor.issued[-1].access
    assert held.access not in repr(held)


def test_an_answer_counts_once(place: Place) -> None:
    back = place.vendor.authorize(place.begin())
    place.finish(back)
    with pytest.raises(errors.AccountSignInUnknown):
        place.finish(back)
    assert ConnectedAccount.objects.get().state == "active"


@pytest.mark.parametrize("state", ["", "forged", None])
def test_a_forged_or_missing_state_is_unknown(place: Place, state: str | None) -> None:
    refused(place, changed(place.vendor.authorize(place.begin()), state=state), errors.AccountSignInUnknown)


def test_an_answer_in_another_browser_or_of_another_person_connects_nothing_and_is_used_up(place: Place) -> None:
    back = place.vendor.authorize(place.begin())
    refused(place, back, errors.AccountSignInMismatch, browser="the-session-of-another-browser")
    refused(place, back, errors.AccountSignInUnknown)
    back = place.vendor.authorize(place.begin())
    refused(place, back, errors.AccountSignInMismatch, person=make.person())
    refused(place, back, errors.AccountSignInUnknown)


def test_a_second_begin_ends_the_first_and_ten_minutes_end_any(place: Place) -> None:
    first = place.vendor.authorize(place.begin())
    second = place.vendor.authorize(place.begin())
    refused(place, first, errors.AccountSignInUnknown)
    AccountSignIn.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    refused(place, second, errors.AccountSignInUnknown)
    place.begin()
    AccountSignIn.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    assert connect.forget_expired() == 1


def test_the_issuer_must_be_named_and_be_the_one_that_was_asked(
    place: Place, servers: tuple[AccountServer, AccountServer]
) -> None:
    for iss in (None, "", servers[1].issuer, f"{servers[0].issuer}/"):
        refused(place, changed(place.vendor.authorize(place.begin()), iss=iss), errors.AccountIssuerMismatch)


def test_a_server_that_does_not_name_itself_may_leave_the_issuer_out_and_not_name_another(
    place: Place, vendor: AccountServer
) -> None:
    vendor.names_itself = False
    try:
        back = vendor.authorize(place.begin())
        refused(place, changed(back, iss="https://other.example"), errors.AccountIssuerMismatch)
        assert place.connect().state == "active"
    finally:
        vendor.names_itself = True


def test_a_mix_up_of_two_systems_is_refused_whichever_way_the_answer_is_turned(
    place: Place, servers: tuple[AccountServer, AccountServer]
) -> None:
    other = Place(world.build("http://localhost:1/other", tool="act"), servers[1], Guarded(servers[1]))
    other.here.person = place.here.person
    other.here.grant = make.grant(other.here.agent, other.here.entitlement, people=[place.here.person])
    worlds.register(other.here.system, servers[1])
    assert connect.redirect_path(place.here.system) != connect.redirect_path(other.here.system)
    theirs = urlsplit(servers[1].authorize(other.begin()))
    mine = urlsplit(servers[0].authorize(place.begin()))
    # the code of one system at the address of the other, with the state of either
    refused(place, urlunsplit((*mine[:2], theirs.path, mine.query, "")), errors.AccountRedirectMismatch)
    refused(other, urlunsplit((*theirs[:2], mine.path, theirs.query, "")), errors.AccountRedirectMismatch)
    # an answer of the attacker's server that pretends to be the honest one's
    code = dict(parse_qsl(urlsplit(servers[1].authorize(other.begin())).query))["code"]
    back = changed(servers[0].authorize(place.begin()), code=code)
    asked = len(servers[1].forms)
    refused(place, back, errors.AccountRefusedUpstream)
    assert len(servers[1].forms) == asked, "no code went to the other server"


def test_an_injected_code_fails_by_pkce(place: Place, vendor: AccountServer) -> None:
    stolen = dict(parse_qsl(urlsplit(vendor.authorize(place.begin())).query))["code"]
    back = changed(vendor.authorize(place.begin()), code=stolen)
    refused(place, back, errors.AccountRefusedUpstream)
    assert vendor.forms[-1]["code"] == stolen


def test_a_code_is_redeemed_only_with_the_address_that_was_registered(place: Place, vendor: AccountServer) -> None:
    vendor.client.redirect_uris.add("https://attacker.example/callback")
    address = place.begin()
    leaked = vendor.authorize(changed(address, redirect_uri="https://attacker.example/callback"))
    back = urlunsplit((*urlsplit(connect.redirect_uri(place.here.system))[:3], urlsplit(leaked).query, ""))
    refused(place, back, errors.AccountRefusedUpstream)


def test_a_parameter_that_is_there_twice_is_refused(place: Place) -> None:
    back = place.vendor.authorize(place.begin())
    for name in ("state", "code", "iss"):
        refused(place, f"{back}&{name}=again", errors.AccountSignInUnknown)


def test_a_person_who_declines_there_connects_nothing(place: Place) -> None:
    back = changed(place.vendor.authorize(place.begin()), code=None, error="access_denied")
    refused(place, back, errors.AccountRefusedUpstream)


def test_only_agents_that_act_for_the_person_can_be_chosen(place: Place) -> None:
    stranger, _ = make.client(make.agent())
    for chosen in ([(stranger.pk, place.here.agent.pk)], [(-1, -1)]):
        with pytest.raises(errors.AgentNotOffered):
            place.begin(chosen)
    with pytest.raises(errors.NoAgentChosen):
        connect.begin(place.here.system, [], by=place.here.person, browser=worlds.BROWSER)
    account = place.connect()
    with pytest.raises(errors.AgentNotOffered):
        accounts.choose_clients(account.pk, [(stranger.pk, place.here.agent.pk)], by=place.here.person)
    with pytest.raises(DomainError):
        accounts.choose_clients(account.pk, place.chosen, by=make.person())


def test_tokens_that_are_not_kept_are_given_back(place: Place, vendor: AccountServer) -> None:
    back = vendor.authorize(place.begin())
    people.disable(place.here.person, by=SYSTEM, reason="Left.")
    refused(place, back, Forbidden)
    assert vendor.issued[-1].access not in vendor.live


def test_another_client_meanwhile_gets_no_code(place: Place, vendor: AccountServer) -> None:
    back = vendor.authorize(place.begin())
    settings = {"client_id": "another", "issuer": vendor.issuer}
    vault.set_secret(place.here.system, kind="oauth_user", value="another-secret", settings=settings, by=SYSTEM)
    asked = len(vendor.forms)
    refused(place, back, errors.AccountRedirectMismatch)
    assert len(vendor.forms) == asked


def test_connecting_again_ends_the_account_before(place: Place) -> None:
    first, second = place.connect(), place.connect()
    first.refresh_from_db()
    assert (first.state, first.revocation, second.state) == ("ended", "pending", "active")


def test_metadata_of_another_issuer_and_a_system_without_accounts_are_refused(
    place: Place, servers: tuple[AccountServer, AccountServer]
) -> None:
    vault.set_secret(
        place.here.system,
        kind="oauth_user",
        value=SECRET,
        settings={"client_id": "mandate", "issuer": f"{servers[0].base}/other"},
        by=SYSTEM,
    )
    with pytest.raises(errors.AccountServerUnusable):
        place.begin()
    vault.set_secret(place.here.system, kind="bearer", value=SECRET, by=SYSTEM)
    with pytest.raises(errors.AccountsNotUsed):
        place.begin()


def test_endpoints_that_are_named_need_no_metadata(place: Place, vendor: AccountServer) -> None:
    named = {"authorization_url": f"{vendor.base}/authorize?tenant=7", "token_url": f"{vendor.base}/token"}
    worlds.register(place.here.system, vendor, **named)
    address = place.begin()
    assert "tenant=7" in address
    assert place.finish(vendor.authorize(address)).state == "active"
