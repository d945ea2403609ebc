"""The client side of the story, played with the official `mcp` client in both protocol eras.

Leg 1 of enterprise-managed authorization (ID token -> ID-JAG, RFC 8693) is left to the enterprise by the SDK, so it is
plain HTTP here; leg 2 (ID-JAG -> access token, RFC 7523) is the SDK's own provider. That provider knows client secrets
only, so a `private_key_jwt` client is the same provider with the client's assertion in place of the secret. An agent on
its own uses the SDK's client credentials provider as it is.

    player = AgentClient.of(world, "expense-bot")             # `world` is what var/demo.json holds
    seen = await player.call("time", "get_current_time", {"timezone": "UTC"}, person="alice")
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx2
from joserfc import jwk, jwt
from mcp import Client, MCPError
from mcp.client.auth import OAuthTokenError
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider, PrivateKeyJWTOAuthProvider
from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

Era = Literal["2026-07-28", "legacy", "auto"]
Form = dict[str, str]
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - names, not secrets
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 60
TIMEOUT_SECONDS = 300.0


class Refused(Exception):
    """The control plane refused at a token endpoint; `answer` is its JSON."""

    def __init__(self, status: int, answer: dict[str, Any]) -> None:
        super().__init__(f"{status} {answer.get('error')}: {answer.get('error_description', '')}")
        self.status, self.answer = status, answer


@dataclass(frozen=True)
class CallOutcome:
    """What the client saw of one call: the tool's answer, or who refused and how."""

    allowed: bool
    text: str
    where: str = "tool"  # tool, result (isError from tool or gateway), rpc, token
    data: Any = None
    meta: Mapping[str, Any] = field(default_factory=dict)


class Credentials:
    """How one OAuth client proves who it is, at either of our issuers."""

    def __init__(self, client_id: str, client: Mapping[str, Any]) -> None:
        self.client_id, self.method, self.secret = client_id, client["auth"], client.get("secret") or ""
        self._key = jwk.import_key(dict(client["private_jwk"])) if client.get("private_jwk") else None

    def assertion(self, issuer: str) -> str:
        """Return a client assertion (RFC 7523 section 2.2) whose only audience is the issuer."""
        assert self._key is not None, f"{self.client_id} has no key"
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": issuer,
            "jti": secrets.token_urlsafe(16),
        }
        claims |= {"iat": now, "exp": now + ASSERTION_SECONDS}
        return jwt.encode({"alg": "ES256", "typ": "JWT", "kid": self._key.kid}, claims, self._key, algorithms=["ES256"])

    def form(self, issuer: str) -> Form:
        """Return the form fields that authenticate the client at the issuer's endpoints."""
        if self.method == "private_key_jwt":
            return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self.assertion(issuer)}
        return {"client_id": self.client_id}

    def basic(self) -> httpx2.BasicAuth | None:
        """Return HTTP Basic authentication for a client with a secret."""
        return httpx2.BasicAuth(self.client_id, self.secret) if self.method == "client_secret_basic" else None


class Store:
    """The SDK's token storage, in memory: a test reads or plants the access token here."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        """Return the kept tokens."""
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep the tokens."""
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Return nothing: the clients of the demo are configured, never registered on the fly."""
        return None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Refuse: a configured client has no reason to register itself."""
        raise NotImplementedError


class KeyedIdentityAssertion(IdentityAssertionOAuthProvider):
    """The SDK's leg 2 for a client with a key: its assertion goes where the secret would."""

    def __init__(self, credentials: Credentials, **settings: Any) -> None:  # noqa: ANN401 - the SDK's own
        super().__init__(client_id=credentials.client_id, client_secret="unused", **settings)  # noqa: S106
        self._credentials = credentials

    def _build_token_request(self, scope: str | None, assertion: str) -> httpx2.Request:
        plain = super()._build_token_request(scope, assertion)
        form = dict(httpx2.QueryParams(plain.content.decode()))
        del form["client_secret"]
        return httpx2.Request("POST", plain.url, data={**form, **self._credentials.form(self._issuer)})


class AgentClient:
    """One agent's MCP client: it signs in as its users, exchanges, lists and calls.

    With a `trace` (32 hex digits) every request names it (W3C Trace Context), so that one trace tells the whole story.
    `tokens` keeps every token that the player ever held, for those who look for them where they must not be.
    """

    def __init__(self, world: Mapping[str, Any], credentials: Credentials, trace: str = "") -> None:
        self.world, self.credentials, self.trace = world, credentials, trace
        self.stores: dict[tuple[str, str | None], Store] = {}
        self.tokens: set[str] = set()

    @classmethod
    def of(cls, world: Mapping[str, Any], agent: str) -> AgentClient:
        """Return the player of a demo agent."""
        client_id = world["agents"][agent]["client_id"]
        return cls(world, Credentials(client_id, world["clients"][client_id]))

    async def sign_in(self, person: str, **claims: object) -> str:
        """Return an ID token of the stub provider for the person, made out to this client."""
        claims_wanted = {"sub": person, "aud": self.credentials.client_id, **claims}
        async with self.http() as http:
            answer = await http.post(self.world["idp"]["stub_mint_url"], json=claims_wanted)
        answer.raise_for_status()
        return self.noted(answer.json()["id_token"])

    async def exchange(self, system: str, id_token: str, *, scope: str | None = None, **more: str) -> dict[str, Any]:
        """Do leg 1 (RFC 8693): return the token answer that holds the ID-JAG. Raises Refused."""
        issuer, target = self.world["idp"]["issuer"], self.world["systems"][system]
        form = {
            "grant_type": TOKEN_EXCHANGE,
            "requested_token_type": ID_JAG,
            "subject_token": id_token,
            "subject_token_type": ID_TOKEN,
            "audience": target["issuer"],
            "resource": target["resource"],
            **({"scope": scope} if scope else {}),
            **more,
        }
        answer = await self.post(f"{issuer}/token", issuer, form)
        self.noted(answer["access_token"])
        return answer

    async def redeem(self, system: str, id_jag: str, *, resource: str = "") -> dict[str, Any]:
        """Do leg 2 (RFC 7523) by hand, as a client without the SDK does: return the token answer. Raises Refused."""
        target = self.world["systems"][system]
        form = {"grant_type": JWT_BEARER, "assertion": id_jag, "resource": resource or target["resource"]}
        answer = await self.post(f"{target['issuer']}/token", target["issuer"], form)
        self.noted(answer["access_token"])
        return answer

    def noted(self, token: str) -> str:
        """Remember a token that the player holds, and return it."""
        self.tokens.add(token)
        return token

    def http(self, auth: httpx2.Auth | None = None) -> httpx2.AsyncClient:
        """Return an HTTP client whose every request, those of `auth` included, belongs to our trace."""

        async def traced(request: httpx2.Request) -> None:
            if self.trace:
                request.headers["traceparent"] = f"00-{self.trace}-{secrets.token_hex(8)}-01"

        return httpx2.AsyncClient(auth=auth, timeout=TIMEOUT_SECONDS, event_hooks={"request": [traced]})

    async def post(self, url: str, issuer: str, form: Form) -> dict[str, Any]:
        """Post a form to an endpoint of an issuer as this client and return the JSON. Raises Refused."""
        basic = self.credentials.basic() or httpx2.USE_CLIENT_DEFAULT
        async with self.http() as http:
            answer = await http.post(url, data={**form, **self.credentials.form(issuer)}, auth=basic)
        if not answer.is_success:
            raise Refused(answer.status_code, answer.json())
        return dict(answer.json())

    def store(self, system: str, person: str | None) -> Store:
        """Return where the access token for this system and person is kept."""
        return self.stores.setdefault((system, person), Store())

    def authentication(self, system: str, person: str | None, *, scope: str | None = None) -> httpx2.Auth:
        """Return the SDK's provider: identity assertion for a person, client credentials for the agent itself."""
        target, keyed = self.world["systems"][system], self.credentials.method == "private_key_jwt"
        common: dict[str, Any] = {"server_url": target["resource"], "storage": self.store(system, person)}
        common |= {"issuer": target["issuer"], "scope": scope}
        ids: dict[str, Any] = {"client_id": self.credentials.client_id, "client_secret": self.credentials.secret}
        ids["token_endpoint_auth_method"] = self.credentials.method
        if person is None:
            if keyed:
                make = self._own_assertion()
                return PrivateKeyJWTOAuthProvider(
                    client_id=self.credentials.client_id, assertion_provider=make, **common
                )
            return ClientCredentialsOAuthProvider(**ids, **common)

        async def assertion_provider(_audience: str, _resource: str) -> str:
            return str((await self.exchange(system, await self.sign_in(person), scope=scope))["access_token"])

        common["assertion_provider"] = assertion_provider
        if keyed:
            return KeyedIdentityAssertion(self.credentials, **common)
        return IdentityAssertionOAuthProvider(**ids, **common)

    def _own_assertion(self) -> Callable[[str], Awaitable[str]]:
        async def make(audience: str) -> str:
            return self.credentials.assertion(audience)

        return make

    @asynccontextmanager
    async def connected(
        self, system: str, *, person: str | None, era: Era = "2026-07-28", scope: str | None = None
    ) -> AsyncIterator[Client]:
        """Open the official client at the gateway for the length of the block."""
        auth = self.authentication(system, person, scope=scope)
        async with self.http(auth) as http:
            transport = streamable_http_client(self.world["systems"][system]["resource"], http_client=http)
            async with Client(transport, mode=era, cache=None) as client:
                yield client
        if kept := self.store(system, person).tokens:
            self.noted(kept.access_token)

    async def list_tools(self, system: str, *, person: str | None, era: Era = "2026-07-28") -> list[dict[str, Any]]:
        """Return the tool definitions the agent is shown, as JSON."""
        async with self.connected(system, person=person, era=era) as client:
            listed = await client.list_tools()
        return [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in listed.tools]

    async def call(
        self,
        system: str,
        tool: str,
        arguments: dict[str, Any],
        *,
        person: str | None,
        era: Era = "2026-07-28",
        scope: str | None = None,
    ) -> CallOutcome:
        """Call one tool and return what the client saw; a refusal is a result here, an outage is raised."""
        try:
            async with self.connected(system, person=person, era=era, scope=scope) as client:
                result = await client.call_tool(tool, arguments)
        except BaseExceptionGroup as group:
            return refusal(group)
        except (MCPError, OAuthTokenError, Refused) as error:
            return refusal(error)
        text = "\n".join(part.text for part in result.content if part.type == "text")
        where = "result" if result.is_error else "tool"
        return CallOutcome(not result.is_error, text, where, result.structured_content, dict(result.meta or {}))


def refusal(error: BaseException) -> CallOutcome:
    """Turn what the SDK raised into what was seen; anything that is not a refusal is raised again."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    match error:
        case Refused():
            return CallOutcome(allowed=False, text=str(error), where="token", data=error.answer)
        case OAuthTokenError():
            return CallOutcome(allowed=False, text=str(error), where="token")
        case MCPError():
            return CallOutcome(
                allowed=False, text=error.message, where="rpc", data={"code": error.code, "data": error.data}
            )
        case _:
            raise error
