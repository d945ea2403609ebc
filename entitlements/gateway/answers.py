"""The answers that clients get, as JSON-RPC: MCP clients read no other body."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings

from entitlements import addresses, codes
from entitlements.catalog.models import System
from entitlements.codes import Code
from entitlements.decisions.verdicts import Verdict
from entitlements.definitions import primitives
from entitlements.definitions.primitives import Primitive
from entitlements.dpop import proofs
from entitlements.gateway import messages
from entitlements.gateway.http import JSON, NO_STORE, Answer, Header, encode
from entitlements.node.bearer import Bearer
from entitlements.node.directory import ServedSystem
from entitlements.node.refusals import Refused
from entitlements.words import Next

DENIAL: Final = "mandate/denial"
"""The `_meta` key under which a denied tool result says what was denied and what would help."""
NULL: Final = b"null"
MCP, REST, CONNECTOR = "mcp", "http", "connector"
"""What the addresses of a system end with."""
_OF_PROOFS: Final = frozenset({"invalid_dpop_proof", "use_dpop_nonce"})


def resource(slug: str, protocol: str = MCP) -> str:
    """Return the resource identifier of a system behind the gateway, or of all of them."""
    return f"{settings.GATEWAY_URL}{path(slug, protocol)}"


def metadata_url(slug: str, protocol: str = MCP) -> str:
    """Return where that resource's metadata is (RFC 9728 section 3.1)."""
    return f"{settings.GATEWAY_URL}/.well-known/oauth-protected-resource{path(slug, protocol)}"


def path(slug: str, protocol: str = MCP) -> str:
    """Return the path of a system's address for MCP or REST, or of the one for all systems."""
    return "/gw/mcp" if slug == addresses.ALL else f"/gw/{slug}/{protocol}"


def begin(request_id: bytes) -> bytes:
    """Return how an answer to a request begins, up to its result or error."""
    return b'{"jsonrpc":"2.0","id":' + request_id + b","


def result(request_id: bytes, value: bytes) -> bytes:
    """Write a JSON-RPC result; both parts are JSON already."""
    return begin(request_id) + b'"result":' + value + b"}"


def error(request_id: bytes, value: bytes) -> bytes:
    """Write a JSON-RPC error; both parts are JSON already."""
    return begin(request_id) + b'"error":' + value + b"}"


def refused(refusal: Refused, request_id: bytes = NULL, *, slug: str = "", evaluation: str = "") -> Answer:
    """Answer a request that got no decision, or none that was an answer."""
    data: dict[str, Any] = {"code": refusal.code.value, **refusal.data}
    if evaluation:
        data["evaluation_id"] = evaluation
    body = encode({"code": refusal.jsonrpc, "message": refusal.message, "data": data})
    headers: tuple[Header, ...] = (JSON, NO_STORE)
    if refusal.status == HTTPStatus.UNAUTHORIZED and slug:
        headers += (challenge(slug, codes.meaning(refusal.code).bearer, refusal.message),)
    if refusal.retry_after is not None:
        headers += ((b"retry-after", str(refusal.retry_after).encode()),)
    return Answer(refusal.status, error(request_id, body), headers)


def failed(refusal: Refused, request_id: bytes, evaluation: str) -> Answer:
    """Answer a call of a tool that came to nothing with a result that says so."""
    text = f"Failed ({refusal.code}): {refusal.message} {codes.meaning(refusal.code).remedy} Reference: {evaluation}"
    tool_result = {"content": [{"type": "text", "text": text}], "isError": True, "resultType": "complete"}
    return Answer(HTTPStatus.OK, result(request_id, encode(tool_result)))


def challenge(
    slug: str, word: str, message: str, scope: str = "", protocol: str = MCP, verdict: Verdict | None = None
) -> Header:
    """Return the WWW-Authenticate header of a system (RFC 6750, RFC 9728 section 5.1, RFC 9470)."""
    parameters = [f'resource_metadata="{metadata_url(slug, protocol)}"']
    if word:
        parameters = [f'error="{word}"', f'error_description="{message}"', *parameters]
    if scope:
        parameters.append(f'scope="{scope}"')
    if verdict is not None:
        parameters += [f'{name}="{value}"' for name, value in needed_sign_in(verdict).items()]
    return b"www-authenticate", f"{scheme(word)} {', '.join(parameters)}".encode()


def needed_sign_in(verdict: Verdict) -> dict[str, int | str]:
    """Return which sign-in a step-up asks for: how old at most, in one of which contexts (RFC 9470 section 3)."""
    remedy = verdict.remedy
    if remedy is None:
        return {}
    age: dict[str, int | str] = {} if remedy.max_age is None else {"max_age": remedy.max_age}
    return {**age, "acr_values": " ".join(remedy.contexts)} if remedy.contexts else age


def scheme(word: str) -> str:
    """Return the scheme of a challenge: one that is about a proof names how to make it (RFC 9449 section 7.1)."""
    return f'DPoP algs="{" ".join(proofs.ALGORITHMS)}",' if word in _OF_PROOFS else "Bearer"


def denied(
    entry: ServedSystem,
    bearer: Bearer,
    verdict: Verdict,
    evaluation: str,
    request_id: bytes,
    tool: str = "",
    *,
    at: str = "",
    kept: str = "",
) -> Answer:
    """Answer a denied call in the shape that the system was registered with; a token's fault is always HTTP's 401.

    `at` is the address at which the client called, where it is not the system's own: what it lacks it gets there.
    `kept` are the arguments of the call, sealed for the link (`denied_calls`).
    """
    at = at or entry.slug
    meaning = codes.meaning(verdict.code)
    data = explanation(entry.slug, bearer.agent, tool, verdict, evaluation, kept=kept)
    failure = encode({"code": codes.DENIED, "message": meaning.sentence, "data": data})
    if meaning.status == HTTPStatus.UNAUTHORIZED:
        challenge_header = challenge(at, meaning.bearer, meaning.sentence, verdict=verdict)
        return Answer(HTTPStatus.UNAUTHORIZED, error(request_id, failure), (JSON, NO_STORE, challenge_header))
    if meaning.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return refused(Refused(verdict.code), request_id, evaluation=evaluation)
    headers: tuple[Header, ...] = (JSON, NO_STORE, *retry_after(verdict))
    if entry.shape == System.DenialShape.FORBIDDEN:
        if verdict.code is Code.SCOPE_MISSING:
            headers += (challenge(at, meaning.bearer, meaning.sentence, all_scopes(bearer, verdict)),)
        status = (
            HTTPStatus.TOO_MANY_REQUESTS if meaning.status == HTTPStatus.TOO_MANY_REQUESTS else HTTPStatus.FORBIDDEN
        )
        return Answer(status, error(request_id, failure), headers)
    if entry.shape == System.DenialShape.JSONRPC or primitives.of_name(tool) is not Primitive.TOOL or not tool:
        return Answer(HTTPStatus.OK if tool else HTTPStatus.FORBIDDEN, error(request_id, failure), headers)
    tool_result = {
        "content": [{"type": "text", "text": _text(data)}],
        "isError": True,
        "resultType": "complete",
        "_meta": {DENIAL: data},
    }
    return Answer(HTTPStatus.OK, result(request_id, encode(tool_result)), headers)


def retry_after(verdict: Verdict) -> tuple[Header, ...]:
    """Return the Retry-After header of a denial that ends by itself, in seconds (RFC 9110 section 10.2.3)."""
    wait = None if verdict.remedy is None else verdict.remedy.retry_after
    return () if wait is None else ((b"retry-after", str(wait).encode()),)


def explanation(
    system: str, agent: str, tool: str, verdict: Verdict, evaluation: str, *, is_call: bool = True, kept: str = ""
) -> dict[str, Any]:
    """Say what was denied, why, and what would help; the same for every shape and for AuthZEN.

    The link to ask at names the denied call, unless it was no call of the agent (`is_call`): only such a call can be
    resumed by a request.
    """
    meaning = codes.meaning(verdict.code)
    detail: dict[str, Any] = {
        "code": verdict.code.value,
        "evaluation_id": evaluation,
        "reason": meaning.sentence,
        "reasons": [reason.sentence for reason in verdict.reasons],
        "remedy": meaning.remedy,
        "why": addresses.why(evaluation),
        **needed_sign_in(verdict),
    }
    if meaning.next is Next.REQUEST:
        resumed = (evaluation, kept) if is_call and not verdict.agent else ("", "")
        detail["request_access"] = addresses.request_access(verdict.agent or agent, system, tool, *resumed)
    if verdict.code is Code.ACCOUNT_NOT_CONNECTED:
        detail["connect_account"] = addresses.connect_account(system)
    if verdict.remedy is not None and verdict.remedy.retry_after is not None:
        detail["retry_after"] = verdict.remedy.retry_after
    if verdict.remedy is not None and verdict.remedy.scopes:
        detail["scopes"] = list(verdict.remedy.scopes)
    return detail


def all_scopes(bearer: Bearer, verdict: Verdict) -> str:
    """Name every scope the next token needs: clients ask for the challenge's scopes and for no others."""
    needed = verdict.remedy.scopes if verdict.remedy else ()
    return " ".join(sorted(bearer.token.scopes.union(needed)))


def _text(data: Mapping[str, Any]) -> str:
    reasons = [reason for reason in data["reasons"] if reason != data["reason"]]
    parts = [f"Denied ({data['code']}): {data['reason']}", *reasons, data["remedy"]]
    parts += [data[link] for link in ("request_access", "connect_account") if link in data]
    return " ".join(part for part in (*parts, f"Why: {data['why']}") if part)


def not_allowed() -> Answer:
    """Answer a method of HTTP that an MCP address does not know."""
    body = encode({"code": messages.INVALID_REQUEST, "message": "Use POST."})
    return Answer(HTTPStatus.METHOD_NOT_ALLOWED, error(NULL, body), (JSON, NO_STORE, (b"allow", b"POST")))
