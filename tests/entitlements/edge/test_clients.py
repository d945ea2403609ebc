"""How a client proves who it is at our endpoints: once, in one way, for one issuer."""

from __future__ import annotations

import base64
import json
import time
import uuid
from urllib.parse import urlencode

import pytest
from joserfc.jws import serialize_compact

from audit.models import Event
from entitlements.edge.client_authentication import ASSERTION_TYPE
from entitlements.tokens.models import UsedAssertion
from tests import make
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import World


def _basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def test_a_secret_is_taken_in_the_header_or_in_the_form(world: World) -> None:
    client, secret = make.client(world.agent, "secretive", auth="client_secret_basic")
    token = world.id_token(aud=client.client_id)
    in_form = world.exchange_form(client_id=client.client_id, client_secret=secret, subject_token=token)
    in_header = world.exchange_form(client_id=client.client_id, subject_token=token)

    assert world.post("/idp/token", in_form).status == 200
    assert world.post("/idp/token", in_header, Authorization=_basic(client.client_id, secret)).status == 200


def test_a_wrong_secret_is_challenged_and_only_counted(world: World) -> None:
    client, secret = make.client(world.agent, "secretive", auth="client_secret_basic")
    form = world.exchange_form(client_id=client.client_id)
    answer = world.post("/idp/token", form, Authorization=_basic(client.client_id, secret + "x"))
    assert answer.error == (401, "invalid_client", "client_not_authenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert "evaluation_id" not in answer.body
    assert not Event.objects.filter(action="token.refused").exists()


@pytest.mark.parametrize("tried", [{}, {"client_id": "no-client", "client_secret": "x"}], ids=["nothing", "a form"])
def test_each_failure_of_a_client_is_challenged_and_below_no_issuer_there_is_none(
    world: World, tried: dict[str, str]
) -> None:
    form = {"grant_type": "client_credentials", **tried}
    answer = world.post("/as/time/token", form)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="oauth"')
    if tried:
        assert world.post("/as/nowhere/token", form).error == (404, "not_found", "system_unknown")


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic Og", "Bearer abc", "Basic /w=="])
def test_a_malformed_header_is_refused(world: World, header: str) -> None:
    assert world.post("/idp/token", world.exchange_form(client_id="x"), Authorization=header).status == 401


def test_two_ways_at_once_are_refused(world: World) -> None:
    _, secret = make.client(world.agent, "secretive", auth="client_secret_basic")
    form = world.exchange_form()
    for more in ({"client_secret": secret}, {"client_id": "secretive"}):
        assert world.post("/idp/token", {**form, **more}).error[:2] == (400, "invalid_request")
    assert world.post("/idp/token", form, Authorization=_basic("secretive", secret)).error[2] == "several_credentials"


def test_a_client_with_a_key_cannot_use_a_secret_nor_the_other_way_round(world: World) -> None:
    form = world.exchange_form(client_id="expense-client", client_secret="")
    assert world.post("/idp/token", form).error[:2] == (401, "invalid_client")
    make.client(world.agent, "secretive", auth="client_secret_basic")
    stolen = world.credentials(world.idp, iss="secretive", sub="secretive")
    assert world.post("/idp/token", world.exchange_form(**stolen)).error[:2] == (401, "invalid_client")


def test_an_assertion_works_once(world: World) -> None:
    credentials = world.credentials(world.idp)
    assert world.exchange(**credentials).status == 200
    assert world.exchange(**credentials).error == (401, "invalid_client", "assertion_replayed")
    assert UsedAssertion.objects.filter(issuer="client:expense-client").count() == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "http://localhost:8000/idp/token"},
        {"aud": ["http://localhost:8000/idp"]},
        {"aud": "http://localhost:8000/as/time"},
        {"sub": "somebody"},
        {"iss": "somebody"},
        {"jti": None},
        {"exp": -1},
        {"exp": 10_000},
        {"iat": 300, "exp": 400},
    ],
    ids=["token-endpoint", "list", "other-issuer", "sub", "iss", "no-jti", "expired", "too-long", "not-yet"],
)
def test_an_assertion_that_is_not_exactly_right_is_refused(world: World, claims: dict[str, object]) -> None:
    now = int(time.time())  # times in the cases are seconds from now
    said = {name: now + value if isinstance(value, int) else value for name, value in claims.items()}
    answer = world.exchange(**world.credentials(world.idp, **said))
    assert answer.error[:2] == (401, "invalid_client")
    assert not Event.objects.filter(action="token.refused").exists()


def test_an_assertion_of_another_key_is_refused(world: World) -> None:
    assert world.exchange(**world.credentials(world.idp, key=worlds.new_key("c1"))).status == 401
    assert world.exchange(**world.credentials(world.idp, key=worlds.new_key("c2"))).status == 401


def test_the_client_is_known_from_its_assertion_without_client_id(world: World) -> None:
    form = world.exchange_form()
    assert "client_id" not in form
    assert world.post("/idp/token", form).status == 200
    assert world.post("/idp/token", {**world.exchange_form(), "client_id": "expense-client"}).status == 200
    assert world.post("/idp/token", {**world.exchange_form(), "client_id": "other"}).error[2] == "two_clients"


def test_a_disabled_client_is_named_in_the_record_because_it_proved_itself(world: World) -> None:
    world.client.status = "disabled"
    world.client.save()
    assert world.exchange().error == (401, "invalid_client", "client_disabled")
    assert worlds.refusals()[-1].code == "client_disabled"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "PROPFIND"])
@pytest.mark.parametrize("endpoint", ["token", "introspect", "revoke"])
def test_every_endpoint_takes_post_alone_and_says_so(world: World, endpoint: str, method: str) -> None:
    for issuer in ("/idp", "/as/time"):
        answer = world.http.generic(method, f"{issuer}/{endpoint}", urlencode(world.exchange_form()))
        assert (answer.status_code, answer["Allow"]) == (405, "POST")
        assert not answer.content if method == "HEAD" else answer.json()["code"] == "method_not_allowed"


def test_other_content_types_are_refused(world: World) -> None:
    answer = world.post("/idp/token", "{}", content_type="application/json")
    assert answer.error == (400, "invalid_request", "malformed_form")


def test_an_unknown_grant_type_is_refused_and_recorded(world: World) -> None:
    for grant in ("password", "implicit", "urn:ietf:params:oauth:grant-type:device_code"):
        answer = world.post("/idp/token", {"grant_type": grant, **world.credentials(world.idp)})
        assert answer.error == (400, "unsupported_grant_type", "unsupported_grant_type")
    assert len(worlds.refusals()) == 3


def test_an_assertion_that_names_no_key_serves_a_client_that_has_only_one(world: World) -> None:
    form = world.exchange_form(client_assertion_type=ASSERTION_TYPE, client_assertion=_nameless(world))
    assert world.post("/idp/token", form).status == 200
    make.rewrite(world.client, jwks=worlds.key_set(world.client_key, worlds.new_key("c2")))
    form = world.exchange_form(client_assertion_type=ASSERTION_TYPE, client_assertion=_nameless(world))
    assert world.post("/idp/token", form).error[:2] == (401, "invalid_client")


def _nameless(world: World) -> str:
    now = int(time.time())
    claims = {"iss": "expense-client", "sub": "expense-client", "aud": world.idp, "jti": str(uuid.uuid4())}
    token: str = serialize_compact(
        {"alg": "ES256"}, json.dumps({**claims, "iat": now, "exp": now + 60}), world.client_key.material
    )
    return token
