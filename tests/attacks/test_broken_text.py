"""NUL, half a surrogate pair and addresses without parts, at the doors that once failed on them."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.test import Client as Browser
from joserfc import jwk

from audit.context import SYSTEM
from audit.models import Event, StrangerCount
from entitlements import addresses
from entitlements.catalog.models import System
from entitlements.clients.models import Client
from entitlements.keys import jws
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import make
from tests.attacks.texts import percent
from tests.entitlements.api import client as api
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import World
from tests.governance.console import visits
from tests.governance.scim.directory import PATCH, USER, Directory

NO_ADDRESS = ["https://[::1", "https://a.example:99999", "https://a.example:port", "https://[a]/"]


@pytest.fixture
def nul_key() -> jws.Key:
    return worlds.new_key("a\x00b")


@pytest.mark.django_db
def test_a_token_with_nul_is_refused_once_wherever_a_client_presents_it(world: World, nul_key: jws.Key) -> None:
    id_jag = worlds.peek(world.id_jag())
    refused = [
        world.exchange(subject_token=world.id_token(key=jws.Key("a\x00b", "ES256", world.stub_key.material))),
        world.exchange(subject_token=world.id_token(iss="https://a\x00b")),
        world.redeem(jws.sign(id_jag, nul_key, "oauth-id-jag+jwt")),
        world.redeem(jws.sign({**id_jag, "iss": "a\x00b"}, world.stub_key, "oauth-id-jag+jwt")),
    ]

    assert [answer.error for answer in refused] == [(400, "invalid_grant", "token_invalid")] * 4
    assert len(worlds.refusals()) == 4


@pytest.mark.django_db
def test_a_token_with_nul_is_inactive_and_there_is_nothing_to_revoke(world: World, nul_key: jws.Key) -> None:
    token = jws.sign({"iss": world.audience}, nul_key, "at+jwt")
    asked = [
        world.post(f"/as/{world.system.slug}/{verb}", {"token": token, **world.credentials(world.audience)})
        for verb in ("introspect", "revoke")
    ]
    own = {"token": jws.sign({"iss": world.idp}, nul_key, "oauth-id-jag+jwt")}
    asked += [world.post(f"/idp/{verb}", {**own, **world.credentials(world.idp)}) for verb in ("introspect", "revoke")]

    assert [answer.status for answer in asked] == [200] * 4
    assert [answer.body for answer in asked[::2]] == [{"active": False}] * 2


@pytest.mark.django_db
def test_a_stranger_with_nul_in_a_token_is_one_stranger(world: World, nul_key: jws.Key) -> None:
    token = jws.sign({"iss": addresses.issuer("as/mandate")}, nul_key, "at+jwt")
    answer = world.http.get("/api/v1/agents", headers={"Authorization": f"Bearer {token}"})
    key = jws.Key("a\x00b", "ES256", world.client_key.material)
    assertion = world.alone(**world.credentials(world.audience, key=key))

    assert (answer.status_code, answer.json()["code"]) == (401, "authentication_failed")
    assert assertion.error == (401, "invalid_client", "client_not_authenticated")
    assert sum(StrangerCount.objects.values_list("count", flat=True)) == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "where", "body"),
    [
        ("POST", "Users", {"schemas": [USER], "userName": "a\ud800"}),
        ("POST", "Users", {"schemas": [USER], "userName": "a\x00"}),
        ("POST", "Users", {"schemas": [USER], "userName": "a", "name": {"givenName": "a\x00"}}),
        ("PATCH", "me", {"schemas": [PATCH], "Operations": 7}),
        ("PATCH", "me", {"schemas": [PATCH], "Operations": [7]}),
        (
            *("PATCH", "me"),
            {
                "schemas": [PATCH],
                "Operations": [{"op": "add", "path": r'emails[value eq "\u0000"].type', "value": "x"}],
            },
        ),
        (
            *("PATCH", "me"),
            {
                "schemas": [PATCH],
                "Operations": [{"op": "add", "path": r'emails[value eq "\ud800"].type', "value": "x"}],
            },
        ),
        ("GET", f"Users?filter={percent(r'userName eq "\ud800"')}", None),
        ("GET", f"Users?filter={percent(r'displayName eq "\u0000"')}", None),
        ("GET", "Users?startIndex=" + "9" * 30, None),
    ],
)
def test_a_directory_that_sends_what_cannot_be_stored_hears_so(method: str, where: str, body: Any) -> None:  # noqa: ANN401
    directory = Directory()
    me = directory.add("ana@example.org")["id"]

    answer = directory.ask(method, where.replace("me", f"Users/{me}") if where == "me" else where, body)

    assert answer.status_code == (200 if "startIndex" in where else 400), answer.content
    assert directory.source.people.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("address", NO_ADDRESS)
def test_an_address_without_parts_is_refused_wherever_one_is_given(address: str) -> None:
    ana = make.person("ana", roles=["analyst", "admin"])
    system = make.system("time")
    body = {"slug": "b", "name": "B", "kind": System.SERVED[0], "owner": "ana", "upstream_url": address}
    browser = api.proven(ana)
    answers = [
        browser.post("/api/v1/systems", body),
        browser.patch("/api/v1/systems/time", {"upstream_url": address, "reason": "x"}, headers={"If-Match": "*"}),
        browser.post(
            "/api/v1/webhooks", {"slug": "h", "url": address, "form": "standard", "events": ["agent.suspended"]}
        ),
    ]

    assert all(400 <= answer.status_code < 500 and answer.json()["code"] for answer in answers), answers
    system.refresh_from_db()
    assert system.upstream_url != address
    key = jwk.ECKey.generate_key("P-256", parameters={"kid": "k", "alg": "ES256"}, private=True).as_dict(private=False)
    with pytest.raises(trust.IssuerMalformed):
        trust.begin(address, purpose=TrustedIssuer.Purpose.IDENTITY, jwks={"keys": [key]}, by=SYSTEM)


@pytest.mark.django_db
@pytest.mark.parametrize("host", ["evil.example", "a\x00b", "[::1", "x" * 5000])
@pytest.mark.parametrize("path", ["/", "/login/", "/api/v1/agents", "/idp/jwks.json", "/nothing"])
def test_a_host_that_is_not_ours_gets_one_answer_one_count_and_one_line(
    path: str, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = Browser(raise_request_exception=False).get(path, headers={"Host": host})

    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_host")
    assert [(row.kind, row.count) for row in StrangerCount.objects.all()] == [("unknown_host", 1)]
    lines = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert len(lines) <= 1
    assert not any(each.exc_info for each in lines)
    assert not Event.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("kid", [r"\u0000", r"\ud800"])
def test_a_key_set_that_is_pasted_with_what_cannot_be_stored_is_refused_in_the_form(kid: str) -> None:
    agent = make.agent("bot")
    public = jwk.ECKey.generate_key("P-256").as_dict(private=False)
    pasted = (
        f'{{"keys": [{{"kid": "{kid}", "kty": "EC", "crv": "P-256", "x": "{public["x"]}", "y": "{public["y"]}"}}]}}'
    )
    form = {"client_id": "c1", "name": "C", "auth": "private_key_jwt", "jwks": pasted}

    answer = visits.as_(make.analyst()).post(f"/agents/{agent.slug}/clients/add/", form)

    assert answer.status_code in (200, 400, 422)
    assert "This is not a JSON object." in visits.text(answer)
    assert not Client.objects.exists()
