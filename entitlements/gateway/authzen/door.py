"""The addresses of AuthZEN 1.0 at the gateway: who may ask, in which form, and what each is answered with.

The caller presents an access token of the built-in system for the resource `<gateway>/access/v1`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from django.conf import settings

from entitlements import addresses, strict
from entitlements.codes import Code, meaning
from entitlements.gateway import answers, possession
from entitlements.gateway.http import JSON, NO_STORE, Answer, Header, Request, encode
from entitlements.gateway.traces import question_spans
from entitlements.gateway.traces.question_spans import Asking
from entitlements.node.bearer import Bearer
from entitlements.node.node import Node
from entitlements.node.refusals import Closed, Refused
from entitlements.traces import call_trace

from . import metadata, questions
from .evaluations import Evaluator
from .metadata import EVALUATION, EVALUATIONS, METADATA, SEARCHES
from .questions import Malformed
from .searches import Search

SCOPES: Final = frozenset({"mandate:decide", "mandate:read"})
"""Either lets a caller ask: who may read every grant learns nothing new from a decision."""
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")
_PUBLIC: Final = (b"cache-control", b"max-age=300")

_CALLER: Final = """
SELECT c.status, t.revoked_at IS NOT NULL, y.status,
       EXISTS (SELECT FROM entitlements_guardrail g WHERE g.name = 'everything' AND g.on),
       a.status, s.is_active, t.issued_at <= greatest(a.tokens_valid_after, c.tokens_valid_after)
FROM entitlements_client c JOIN entitlements_issuedtoken t ON t.jti = %s::uuid
JOIN entitlements_system y ON y.slug = %s
LEFT JOIN entitlements_agent a ON a.id = t.agent_id LEFT JOIN entitlements_person s ON s.id = a.sponsor_id
WHERE c.identifier = %s
"""


def resource() -> str:
    """Return the resource identifier that a caller's token must be for."""
    return f"{settings.GATEWAY_URL}/access/v1"


async def serve(node: Node, request: Request) -> None:
    """Answer one request. Raises Refused and Closed for the application to answer."""
    echo = _echoed(request)
    if request.path == METADATA:
        known = request.method in ("GET", "HEAD")
        await request.answer(await _configuration(node, echo) if known else _not_allowed("GET, HEAD", echo))
        return
    if request.path not in (EVALUATION, EVALUATIONS, *SEARCHES):
        await request.answer(Answer(HTTPStatus.NOT_FOUND, b"There is nothing at this address.", (_TEXT, *echo)))
        return
    if request.method != "POST":
        await request.answer(_not_allowed("POST", echo))
        return
    with question_spans.asking(call_trace.begin(None, request.raw, ""), request.path) as asking:
        answer = await _answer(node, request, asking, echo)
        asking.status = answer.status
    await request.answer(answer)


async def _answer(node: Node, request: Request, asking: Asking, echo: tuple[Header, ...]) -> Answer:
    """Answer a question or a search, or say why not."""
    try:
        node.check_open()
        bearer = await _caller(node, request)
        evaluator = Evaluator(node, request, bearer)
        asking.traced = evaluator.traced
        _check_type(request)
        body = questions.as_object(strict.loads(await request.body()))
        answered = await _ask(evaluator, request.path, body)
        return Answer(HTTPStatus.OK, encode(answered), (JSON, NO_STORE, *echo))
    except (Malformed, strict.NotStrictJson) as why:
        # AuthZEN 1.0, section 12.3: the body of an error is a string; it begins with the code.
        asking.code = Code.MALFORMED_CALL.value
        return Answer(HTTPStatus.BAD_REQUEST, f"{asking.code}: {why}".encode(), (_TEXT, NO_STORE, *echo))
    except Refused as why:
        asking.code = why.code.value
        if why.status == HTTPStatus.UNAUTHORIZED:
            node.strangers.count(why.code, request.source)
        return _refused(why, echo)


async def _ask(evaluator: Evaluator, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Answer the question of a body, at its address. Raises Malformed, Refused, Closed."""
    if path == EVALUATION:
        return await evaluator.evaluate(body)
    if path == EVALUATIONS:
        return await evaluator.evaluate_all(body)
    return await Search(evaluator, SEARCHES[path]).answer(body)


def _check_type(request: Request) -> None:
    """Refuse a body that is not said to be JSON (AuthZEN 1.0, certification scenario c-2-4-3). Raises Malformed."""
    said = request.headers.get(b"content-type", b"").partition(b";")[0]
    if said.strip().lower() != b"application/json":
        raise Malformed("The header Content-Type must be application/json.")


async def _caller(node: Node, request: Request) -> Bearer:
    """Check the token, and that caller, token and decision point are still in use."""
    request.check_single()
    if possession.HEADER in request.headers:
        possession.answer_with_nonce(node, request)
    bearer = await node.bearers.check(request.headers.get(b"authorization"), addresses.MANDATE, resource())
    if bearer.jkt:
        await possession.check(node, request, bearer, settings.GATEWAY_URL + request.path)
        await possession.claim(node, request)
    if not bearer.token.scopes & SCOPES:
        raise Refused(Code.SCOPE_MISSING, "A question needs a token with the scope mandate:decide.")
    rows = await node.snapshots.query(_CALLER, [bearer.token.jti, addresses.MANDATE, bearer.client])
    if not rows:
        raise Refused(Code.TOKEN_INVALID)
    client, is_revoked, system, is_stopped, agent, sponsor, is_old = rows[0]
    if is_revoked or is_old:
        raise Refused(Code.TOKEN_REVOKED)
    if client != "active":
        raise Refused(Code.CLIENT_DISABLED)
    if system != "active":
        raise Refused(Code.SYSTEM_DISABLED)
    if is_stopped:
        raise Refused(Code.EVERYTHING_STOPPED)
    if agent not in (None, "active") or sponsor is False:
        raise Refused(Code.AGENT_SUSPENDED)
    await _check_grants(node, bearer)
    return bearer


async def _check_grants(node: Node, bearer: Bearer) -> None:
    """Check that a caller for a person may use our API now: each agent of its chain, its session and its grants."""
    if bearer.person is not None:
        verdict, _ = await node.admits(bearer.asks(addresses.MANDATE))
        if not verdict.allowed:
            raise Refused(verdict.code)


def _refused(why: Refused, echo: tuple[Header, ...]) -> Answer:
    headers: tuple[Header, ...] = (JSON, NO_STORE, *echo)
    if why.code is Code.SCOPE_MISSING:
        challenge = 'Bearer error="insufficient_scope", scope="mandate:decide"'
        headers += ((b"www-authenticate", challenge.encode()),)
    if why.status == HTTPStatus.UNAUTHORIZED:
        word = meaning(why.code).bearer
        headers += ((b"www-authenticate", f'{answers.scheme(word)} error="{word}"'.encode() if word else b"Bearer"),)
    if isinstance(why, Closed):
        headers += ((b"retry-after", b"1"),)
    return Answer(why.status, encode({"code": why.code.value, "message": why.message}), headers)


def _echoed(request: Request) -> tuple[Header, ...]:
    request_id = request.headers.get(b"x-request-id")
    return () if request_id is None else ((b"x-request-id", request_id),)


def _not_allowed(allowed: str, echo: tuple[Header, ...]) -> Answer:
    headers = (_TEXT, (b"allow", allowed.encode()), *echo)
    return Answer(HTTPStatus.METHOD_NOT_ALLOWED, f"Use {allowed}.".encode(), headers)


async def _configuration(node: Node, echo: tuple[Header, ...]) -> Answer:
    return Answer(HTTPStatus.OK, encode(await metadata.configuration(node)), (JSON, _PUBLIC, *echo))
