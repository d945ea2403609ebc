"""What authorizes a request to an upstream, at a real authorization server: each kind, renewal, and failing closed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import test_utils, web
from joserfc import jwk
from pytest_django.fixtures import Settings

from audit import clock
from entitlements.errors import DomainError
from entitlements.secrets import kinds
from entitlements.secrets.vault import Credential
from entitlements.upstream import authorization, egress, reach
from entitlements.upstream.authorization import Authorization
from entitlements.upstream.endpoint import Answer, Endpoint
from entitlements.upstream.reach import Stage
from tests.entitlements.upstream.token_server import ASSERTION, Client, TokenServer

pytestmark = pytest.mark.loopback

SECRET = "s3cret/of+the:client"
KEY = jwk.ECKey.generate_key("P-256", private=True)
PEM = KEY.as_pem(private=True).decode()


@pytest.fixture(autouse=True)
def demo(settings: Settings) -> None:
    settings.DEMO = True  # servers on loopback


@dataclass
class Place:
    """A token server, and an upstream that lets in who has one of its tokens and says what it was sent."""

    server: TokenServer
    token_url: str
    url: str
    sent: list[str] = field(default_factory=list)

    async def open(self, request: web.Request) -> web.Response:
        """Let in who has a token that works."""
        sent = request.headers.get("Authorization", "")
        self.sent.append(sent)
        return web.json_response(
            {"sent": sent}, status=200 if sent.removeprefix("Bearer ") in self.server.live else 401
        )

    async def call(self, authorizing: Authorization) -> int:
        """Send one request, and return the status of its answer."""
        async with egress.client(seconds=5) as http:

            async def take(answer: Answer) -> int:
                await egress.read(answer, 10_000)
                return answer.status

            def exchange(headers: Mapping[str, str], taken: Callable[[Answer], Awaitable[int]]) -> Awaitable[int]:
                return Endpoint(self.url).post(http, headers, b"{}", taken)

            request = authorization.Request("POST", self.url, {"Content-Type": "application/json"}, b"{}")
            return await authorizing.send(request, exchange, take)

    def client(self, **settings: str) -> Credential:
        """Return a credential of OAuth client credentials; it authenticates by a secret unless settings say else."""
        given = {"client_id": "mandate", "client_authentication": "client_secret_basic", "token_url": self.token_url}
        found = {"issuer": settings.pop("issuer")} if "issuer" in settings else {}
        chosen = {name: text for name, text in given.items() if not (found and name == "token_url")} | found | settings
        return made("oauth_client", SECRET, chosen)


def made(kind: str, secret: str, settings: dict[str, str]) -> Credential:
    return Credential(
        "Authorization",
        kinds.static_value(kind, secret, settings),
        secret.encode(),
        kind=kind,
        settings=settings,
    )


@contextlib.asynccontextmanager
async def place(**given: Any) -> AsyncIterator[Place]:  # noqa: ANN401 - as the server takes them
    server = TokenServer({"mandate": Client("mandate", secret=SECRET)}, **given)
    async with test_utils.TestServer(server.app(), host="127.0.0.1") as tokens:
        server.issuer = f"http://localhost:{tokens.port}/tenant"
        here = Place(server, f"http://localhost:{tokens.port}/token", "")
        app = web.Application()
        app.router.add_post("/mcp", here.open)
        async with test_utils.TestServer(app, host="127.0.0.1") as upstream:
            here.url = f"http://localhost:{upstream.port}/mcp"
            yield here


async def refused(here: Place, authorizing: Authorization) -> DomainError:
    with pytest.raises(DomainError) as raised:
        await here.call(authorizing)
    return raised.value


def run(test: Callable[[Place], Awaitable[None]], **given: Any) -> None:  # noqa: ANN401 - as above
    async def visit() -> None:
        async with place(**given) as here:
            await test(here)

    asyncio.run(visit())


@pytest.mark.parametrize(
    ("method", "chosen", "secret"),
    [
        ("client_secret_basic", {}, SECRET),
        ("client_secret_post", {"client_authentication": "client_secret_post"}, SECRET),
        (ASSERTION, {"client_authentication": "private_key_jwt", "audience": "ISSUER"}, PEM),
    ],
)
def test_a_client_authenticates_in_its_own_way_and_its_token_opens(
    method: str, chosen: dict[str, str], secret: str
) -> None:
    async def test(here: Place) -> None:
        here.server.clients = {"mandate": Client("mandate", method, SECRET, KEY)}
        named = {name: here.server.issuer if text == "ISSUER" else text for name, text in chosen.items()}
        credential = replace(
            here.client(scope="read", resource="https://api.example/", **named), secret=secret.encode()
        )
        authorizing = authorization.of(credential)
        assert [await here.call(authorizing), await here.call(authorizing)] == [200, 200]
        assert len(here.server.issued) == 1, "the second call uses the token of the first"
        (form,) = here.server.forms
        assert (form["grant_type"], form["scope"]) == ("client_credentials", "read")
        assert form["resource"] == "https://api.example/"
        assert not any(secret in sent for sent in here.sent)

    run(test)


def test_a_jwt_bearer_grant_is_exchanged_for_a_token_at_the_endpoint_that_metadata_names() -> None:
    async def test(here: Place) -> None:
        here.server.clients = {"robot": Client("robot", key=KEY)}
        settings = {"client_id": "robot", "subject": "svc@corp.example", "issuer": here.server.issuer, "scope": "read"}
        assert await here.call(authorization.of(made("jwt_bearer", PEM, settings))) == 200
        nobody = made("jwt_bearer", PEM, {**settings, "subject": "nobody"})
        refusal = await refused(here, authorization.of(nobody))
        assert (refusal.code, refusal.detail["error"]) == ("upstream_unavailable", "invalid_grant")

    run(test)


def test_an_issuer_whose_metadata_names_another_one_is_asked_for_nothing() -> None:
    async def test(here: Place) -> None:
        here.server.named = "https://another.example"
        refusal = await refused(here, authorization.of(here.client(issuer=here.server.issuer)))
        assert (reach.stage(refusal), here.server.forms, here.sent) == (Stage.TOKEN_ENDPOINT, [], [])

    run(test)


def test_a_hundred_calls_at_once_ask_for_one_token() -> None:
    async def test(here: Place) -> None:
        authorizing = authorization.of(here.client())
        assert set(await asyncio.gather(*(here.call(authorizing) for _ in range(100)))) == {200}
        assert len(here.server.issued) == 1

    run(test)


def test_a_token_that_is_refused_is_asked_for_again_once_for_all() -> None:
    async def test(here: Place) -> None:
        authorizing = authorization.of(here.client())
        await here.call(authorizing)
        here.server.live.clear()
        assert set(await asyncio.gather(*(here.call(authorizing) for _ in range(20)))) == {200}
        assert len(here.server.issued) == 2

    run(test)


def test_where_every_token_is_refused_one_more_is_asked_for_and_no_other() -> None:
    async def test(here: Place) -> None:
        authorizing = authorization.of(here.client())
        await here.call(authorizing)
        here.server.live.clear()
        here.server.answer = {"access_token": "works-nowhere", "token_type": "Bearer", "expires_in": 60}
        assert [await here.call(authorizing) for _ in range(5)] == [401] * 5
        assert len(here.server.forms) == 2

    run(test)


def test_a_token_is_renewed_shortly_before_its_end_and_used_on_while_the_endpoint_is_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = clock.now()
    moment = [now]
    monkeypatch.setattr(clock, "now", lambda: moment[0])

    async def test(here: Place) -> None:
        authorizing = authorization.of(here.client())
        await here.call(authorizing)
        moment[0] = now + timedelta(seconds=30)
        await here.call(authorizing)
        assert len(here.server.issued) == 1
        here.server.status = 503
        moment[0] = now + timedelta(seconds=85)
        assert await here.call(authorizing) == 200
        assert (len(here.server.forms), len(here.server.issued)) == (2, 1)
        moment[0] = now + timedelta(seconds=95)
        here.server.status = 200
        assert await here.call(authorizing) == 200
        assert len(here.server.issued) == 2
        here.server.status = 503
        moment[0] += timedelta(seconds=101)
        assert reach.stage(await refused(here, authorizing)) is Stage.TOKEN_ENDPOINT

    run(test, lifetime=100)


@pytest.mark.parametrize(
    ("given", "stage"),
    [
        ({"status": 500}, Stage.TOKEN_ENDPOINT),
        ({"status": 302}, Stage.TOKEN_ENDPOINT),
        ({"status": 401, "answer": {"error": "invalid_client"}}, Stage.TOKEN_REFUSED),
        ({"status": 400, "answer": {"error": "s3cret/of+the:client"}}, Stage.TOKEN_REFUSED),
        ({"answer": {"access_token": "short", "token_type": "Bearer"}}, Stage.TOKEN_ENDPOINT),
        ({"answer": {"access_token": "with a space in it", "token_type": "Bearer"}}, Stage.TOKEN_ENDPOINT),
        ({"answer": {"access_token": "line\r\nX-Other: end", "token_type": "Bearer"}}, Stage.TOKEN_ENDPOINT),
        ({"answer": {"access_token": "long-enough", "token_type": "DPoP"}}, Stage.TOKEN_ENDPOINT),
        ({"answer": {"access_token": "long-enough", "token_type": "Bearer", "expires_in": 0}}, Stage.TOKEN_ENDPOINT),
        ({"answer": {"access_token": "long-enough", "token_type": "Bearer", "expires_in": True}}, Stage.TOKEN_ENDPOINT),
    ],
)
def test_without_a_token_nothing_is_sent_and_the_owner_reads_the_stage(given: dict[str, Any], stage: Stage) -> None:
    async def test(here: Place) -> None:
        authorizing = authorization.of(here.client())
        refusal = await refused(here, authorizing)
        assert (refusal.code, reach.stage(refusal), here.sent) == ("upstream_unavailable", stage, [])
        assert "s3cret" not in f"{refusal.message}{refusal.detail}{refusal!r}"
        again = await refused(here, authorizing)
        assert (reach.stage(again), len(here.server.forms)) == (stage, 1), "and it is not asked for each call"

    run(test, **given)


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/token", "https://10.0.0.1/token", "https://user:word@a.example/token"]
)
def test_a_token_endpoint_behind_the_guard_is_never_asked(url: str) -> None:
    async def test(here: Place) -> None:
        assert reach.stage(await refused(here, authorization.of(here.client(token_url=url)))) is Stage.TOKEN_ENDPOINT
        assert here.sent == []

    run(test)


def test_while_two_overlap_the_one_before_is_used_where_the_token_endpoint_refuses_the_new_one() -> None:
    async def test(here: Place) -> None:
        before = here.client()
        new = replace(here.client(), secret=b"not-known-there-yet")
        overlap = replace(new, previous=before, previous_ends=clock.now() + timedelta(hours=1))
        assert await here.call(authorization.of(overlap)) == 200
        ended = replace(new, previous=before, previous_ends=clock.now() - timedelta(seconds=1))
        assert reach.stage(await refused(here, authorization.of(ended))) is Stage.TOKEN_REFUSED

    run(test)


@pytest.mark.parametrize(
    ("kind", "chosen"),
    [("bearer", {}), ("oauth_client", {"client_id": "c", "client_authentication": "client_secret_basic"})],
)
def test_a_credential_that_is_too_old_is_never_sent(kind: str, chosen: dict[str, str]) -> None:
    async def test(here: Place) -> None:
        old = made(kind, SECRET, {**chosen, **({"token_url": here.token_url} if chosen else {})})
        refusal = await refused(here, authorization.of(replace(old, ends=clock.now())))
        assert "older than the policy" in refusal.message
        assert (here.sent, here.server.forms) == ([], [])

    run(test)


def test_tokens_secrets_and_their_encodings_are_taken_out_of_answers_and_shown_by_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")

    async def test(here: Place) -> None:
        credential = here.client()
        authorizing = authorization.of(credential)
        await here.call(authorizing)
        here.server.live.clear()
        await here.call(authorizing)
        encoded = base64.b64encode(b"mandate:s3cret%2Fof%2Bthe%3Aclient").decode()
        said = [record.getMessage() for record in caplog.records if not record.name.startswith("authlib")]  # the server
        assert said
        for form in (*here.server.issued, SECRET, encoded):
            answer = authorizing.removed_from(b'{"text":"it is ' + form.encode() + b'."}')
            assert answer == b'{"text":"it is [removed]."}'
            assert form not in f"{credential!r}{authorizing!r}{said}"
        assert len(here.server.issued) == 2

    run(test)


def test_no_argument_stands_beside_what_authorizes_under_the_same_name_in_other_letters() -> None:
    authorizing = authorization.of(made("bearer", SECRET, {}))

    async def exchange(headers: Mapping[str, str], _take: object) -> Mapping[str, str]:
        return headers

    async def take(_: Answer) -> Mapping[str, str]:
        return {}

    request = authorization.Request("GET", "https://h.example/", {"authorization": "Bearer mine", "X-A": "1"})
    sent = asyncio.run(authorizing.send(request, exchange, take))
    assert sent == {"X-A": "1", "Authorization": f"Bearer {SECRET}"}


def test_a_password_is_sent_as_basic_and_taken_out_in_both_forms() -> None:
    credential = made("basic", "pass/word+1", {"username": "svc"})
    encoded = base64.b64encode(b"svc:pass/word+1").decode()
    assert credential.value == f"Basic {encoded}"
    answer = authorization.of(credential).removed_from(f'{{"a":"{encoded}","b":"pass\\/word+1"}}'.encode())
    assert answer == b'{"a":"[removed]","b":"[removed]"}'
    assert "pass/word" not in repr(credential)


def test_a_private_key_is_taken_out_line_by_line() -> None:
    authorizing = authorization.of(made("jwt_bearer", PEM, {"client_id": "robot", "token_url": "https://a.example/t"}))
    lines = [line for line in PEM.splitlines() if len(line) > 16 and "-----" not in line]
    assert lines
    answer = authorizing.removed_from(('{"text":"' + PEM.replace("\n", "\\n") + '"}').encode())
    assert not any(line.encode() in answer for line in lines)


def test_aws_signs_what_is_sent_whatever_the_method_and_the_signature_is_taken_out() -> None:
    settings = {"access_key_id": "AKIDEXAMPLE", "region": "eu-central-1", "service": "execute-api"}
    authorizing = authorization.of(made("aws_sigv4", "wJalrXUtnFEMI/K7MDENG", settings))

    def headers(method: str, body: bytes, **more: str) -> dict[str, str]:
        given = {
            "Content-Type": "a/b",
            "Traceparent": "00-1",
            **{name.replace("_", "-"): text for name, text in more.items()},
        }
        request = authorization.Request(method, "https://h.example:8443/a%20b?x=1", given, body)
        return asyncio.run(authorizing.headers(request))

    first, other = headers("PUT", b"one"), headers("PUT", b"two")
    assert first["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-central-1/execute-api/aws4_request" in first["Authorization"]
    assert "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date" in first["Authorization"]
    assert first["X-Amz-Content-Sha256"] != other["X-Amz-Content-Sha256"]
    target = headers("PUT", b"one", X_Amz_Target="DynamoDB.GetItem", X_Amz_Date="20150830T123600Z")["Authorization"]
    assert "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-target, " in target
    signature = first["Authorization"].rpartition("=")[2].encode()
    assert authorizing.removed_from(b'{"s":"' + signature + b'"}') == b'{"s":"[removed]"}'
    assert "wJalr" not in repr(authorizing) + repr(authorizing.credential)
