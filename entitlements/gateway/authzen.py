"""AuthZEN 1.0: the decisions of this gateway for other enforcement points, by the same function and the same record.

The caller presents an access token of the built-in system for the resource `<gateway>/access/v1`. The question names a
person (subject), an agent (context.agent, a slug or one of its clients), the action `tools/call` and a tool; arguments
in `context.arguments` are held against the limits and the approved schema. A question without them is about a call
without arguments where limits stand, and otherwise about the tool as such. Where the agent acts for others,
`context.act` names them as the claim of a token does (RFC 8693), and each is decided about.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings

from audit.actions import Action
from entitlements import addresses, strict
from entitlements.codes import Code, meaning
from entitlements.decisions.snapshot import Call, Chain
from entitlements.decisions.verdicts import Effect, Reason, Verdict
from entitlements.gateway import answers, possession
from entitlements.gateway.decoys import credentials as decoys
from entitlements.gateway.http import JSON, NO_STORE, Answer, Header, Request, encode, trace_of
from entitlements.keys import act_claim, jws
from entitlements.node import records
from entitlements.node.bearer import Bearer
from entitlements.node.node import Node, unknown
from entitlements.node.records import CallDetails
from entitlements.node.refusals import Closed, Refused

METADATA: Final = "/.well-known/authzen-configuration"
EVALUATION: Final = "/access/v1/evaluation"
EVALUATIONS: Final = "/access/v1/evaluations"
MOST_EVALUATIONS: Final = 100
SCOPES: Final = frozenset({"mandate:decide", "mandate:read"})
"""Either lets a caller ask: who may read every grant learns nothing new from a decision."""
_SEMANTICS: Final = ("execute_all", "deny_on_first_deny", "permit_on_first_permit")
_ENTITIES: Final = ("subject", "action", "resource", "context")
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")
_PEOPLE: Final = frozenset({"user", "identity", "person"})
_AGENTS: Final = frozenset({"agent", "client"})
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
_AGENT: Final = """
SELECT slug, client_id FROM (
    SELECT a.slug, c.identifier FROM entitlements_agent a
    LEFT JOIN entitlements_client c ON c.agent_id = a.id AND c.status = 'active'
    UNION ALL
    SELECT a.slug, c.identifier FROM entitlements_connection k JOIN entitlements_agent a ON a.id = k.agent_id
    JOIN entitlements_person p ON p.id = k.person_id AND p.login = %(person)s
    JOIN entitlements_client c ON c.id = k.client_id AND c.status = 'active' WHERE k.ended_at IS NULL
) AS named (slug, client_id)
WHERE slug = %(name)s OR client_id = %(name)s
ORDER BY slug = %(name)s, coalesce(client_id = %(name)s, false), coalesce(client_id, '')
"""


class Malformed(Exception):
    """The question lacks an attribute or has one of the wrong form; the message says which."""


def resource() -> str:
    """Return the resource identifier that a caller's token must be for."""
    return f"{settings.GATEWAY_URL}/access/v1"


async def serve(node: Node, request: Request) -> None:
    """Answer one request. Raises Refused and Closed for the application to answer."""
    echo = _echoed(request)
    if request.path == METADATA:
        known = request.method in ("GET", "HEAD")
        await request.answer(_configuration(echo) if known else _not_allowed("GET, HEAD", echo))
        return
    if request.path not in (EVALUATION, EVALUATIONS):
        await request.answer(Answer(HTTPStatus.NOT_FOUND, b"There is nothing at this address.", (_TEXT, *echo)))
        return
    if request.method != "POST":
        await request.answer(_not_allowed("POST", echo))
        return
    try:
        node.check_open()
        bearer = await _caller(node, request)
        body = _object(strict.loads(await request.body()))
        evaluator = Evaluator(node, request, bearer)
        decisions = await evaluator.evaluate(body) if request.path == EVALUATION else await evaluator.evaluate_all(body)
        answer = Answer(HTTPStatus.OK, encode(decisions), (JSON, NO_STORE, *echo))
    except (Malformed, strict.NotStrictJson) as why:
        # AuthZEN 1.0, section 12.3: the body of an error is a string; it begins with the code.
        text = f"{Code.MALFORMED_CALL.value}: {why}"
        answer = Answer(HTTPStatus.BAD_REQUEST, text.encode(), (_TEXT, NO_STORE, *echo))
    except Refused as why:
        answer = _refused(why, echo)
        if why.status == HTTPStatus.UNAUTHORIZED and not await decoys.note(node, request, why):
            node.strangers.count(why.code, request.source)
    await request.answer(answer)


async def _caller(node: Node, request: Request) -> Bearer:
    """Check the token, and that caller, token and decision point are still in use."""
    request.header("authorization")
    request.header("host")  # whom a proxy asked and whom we ask must be one
    if possession.HEADER in request.headers:
        possession.answer_with_nonce(node, request)
    bearer = await node.bearers.check(request.headers.get(b"authorization"), addresses.MANDATE, resource())
    if bearer.jkt:
        await possession.check(node, request, bearer, settings.GATEWAY_URL + request.path)
        await possession.claim(node, request)
    if not bearer.token.scopes & SCOPES:
        raise Refused(Code.SCOPE_MISSING, "Evaluator for decisions needs the scope mandate:decide.")
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


class Evaluator:
    """The questions of one request."""

    def __init__(self, node: Node, request: Request, bearer: Bearer) -> None:
        self._node, self._bearer, self._source = node, bearer, request.source
        self._trace = trace_of(None, request.headers.get(b"traceparent", b"").decode("latin-1"))
        self._request_id = request.headers.get(b"x-request-id", b"").decode("latin-1")[:128]

    async def evaluate_all(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a list of questions in its order; without a list, the one question that the body is."""
        items = body.get("evaluations")
        if not items:
            return await self.evaluate(body)
        options = body.get("options", {})
        semantic = options.get("evaluations_semantic", _SEMANTICS[0]) if isinstance(options, dict) else None
        if semantic not in _SEMANTICS or not isinstance(items, list) or len(items) > MOST_EVALUATIONS:
            raise Malformed(f"evaluations must be a list of at most {MOST_EVALUATIONS}, with a known semantic.")
        decisions: list[dict[str, Any]] = []
        for item in items:
            decisions.append(await self._item(body, item))
            is_allowed = decisions[-1]["decision"]
            if (semantic, is_allowed) in ((_SEMANTICS[1], False), (_SEMANTICS[2], True)):
                break
        return {"evaluations": decisions}

    async def _item(self, body: Mapping[str, Any], item: object) -> dict[str, Any]:
        if not isinstance(item, dict):
            return _error("An evaluation must be an object.")
        merged = {name: item.get(name, body.get(name)) for name in _ENTITIES}
        try:
            return await self.evaluate({name: value for name, value in merged.items() if value is not None})
        except Malformed as why:
            return _error(str(why))

    async def evaluate(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one question, recorded like any other decision. Raises Malformed, Closed."""
        call = await self._read(body)
        verdict, effective = await self._decide(call, str(_entity(body, "action").get("name")))
        about = CallDetails(
            self._bearer, effective.system, "evaluation", effective.tool, self._trace, self._request_id, self._source
        )
        about.link("agent", effective.agent)
        about.link("person", effective.person or "")
        for behind, _ in effective.chain:
            about.link("agent", behind)
        action = Action.EVALUATION_ALLOWED if verdict.allowed else Action.EVALUATION_DENIED
        self._node.count(verdict)
        await self._node.recorder.durably(records.decision(about, verdict, effective.arguments, action))
        context: dict[str, Any] = {
            "evaluation_id": about.evaluation,
            "evaluated_at": datetime.fromtimestamp(self._node.now(), UTC).isoformat(),
            "code": verdict.code.value,
            "reason": meaning(verdict.code).authzen,
        }
        if not verdict.allowed:
            explanation = answers.explanation(
                effective.system, effective.agent, effective.tool, verdict, about.evaluation, is_call=False
            )
            context["reasons"] = explanation["reasons"]
            if "request_access" in explanation:
                context["access_request"] = {"form_url": explanation["request_access"]}
        return {"decision": verdict.allowed, "context": context}

    async def _decide(self, call: Call, action: str) -> tuple[Verdict, Call]:
        if action != "tools/call":
            reason = Reason(Code.UNKNOWN_METHOD, "Only the action tools/call can be allowed.")
            return Verdict(Effect.DENY, Code.UNKNOWN_METHOD, (reason,)), call
        rows = await self._node.snapshots.query(_AGENT, {"name": call.agent, "person": call.person})
        if not rows:
            return unknown(), call
        call.agent, client = rows[-1]
        call.client = call.client or client or ""
        verdict, _ = await self._node.decide(call)
        return verdict, call

    async def _read(self, body: Mapping[str, Any]) -> Call:
        subject, action, target = (_entity(body, name) for name in _ENTITIES[:3])
        context = body.get("context", {})
        if not isinstance(context, dict):
            raise Malformed("context must be an object.")
        kind, subject_id = _word(subject, "subject", "type"), _word(subject, "subject", "id")
        _word(action, "action", "name")
        tool, _ = _word(target, "resource", "id"), _word(target, "resource", "type")
        is_person = kind in _PEOPLE
        if not is_person and kind not in _AGENTS:
            raise Malformed("subject.type must be user, identity, agent or client.")
        agent = context.get("agent") if is_person else subject_id
        properties = target.get("properties", {})
        named = properties.get("server", properties.get("system")) if isinstance(properties, dict) else None
        if not isinstance(agent, str) or not agent or not isinstance(named, str) or not named:
            raise Malformed("context.agent and resource.properties.server are required.")
        arguments, client = context.get("arguments", {}), context.get("client", "")
        if not isinstance(arguments, dict) or not isinstance(client, str):
            raise Malformed("context.arguments must be an object, context.client a text.")
        chain = _chain(context, agent)
        if not strict.is_storable([agent, client, subject_id, named, *(name for link in chain for name in link)]):
            raise Malformed("A name holds the character NUL.")
        person, states = subject_id if is_person else None, "arguments" in context
        return Call(agent, client, person, named, tool, arguments, states_arguments=states, chain=chain)


def _chain(context: Mapping[str, Any], agent: str) -> Chain:
    """Read the agents behind the one that is asked about. Raises Malformed."""
    try:
        act = act_claim.read(context)
    except jws.BadToken as why:
        raise Malformed("context.act must be the claim act of a token.") from why
    if act is not None and act.agent != agent:
        raise Malformed("context.act must name context.agent, or the subject, as the agent that acts.")
    return () if act is None else act.behind


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Malformed("The body must be an object.")
    return value


def _entity(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if not isinstance(value, dict):
        raise Malformed(f"{name} is required.")
    return value


def _word(entity: Mapping[str, Any], name: str, attribute: str) -> str:
    value = entity.get(attribute)
    if not isinstance(value, str) or not value:
        raise Malformed(f"{name}.{attribute} is required.")
    return value


def _error(message: str) -> dict[str, Any]:
    return {"decision": False, "context": {"error": {"status": HTTPStatus.BAD_REQUEST.value, "message": message}}}


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


def _configuration(echo: tuple[Header, ...]) -> Answer:
    base = settings.GATEWAY_URL
    configuration = {
        "policy_decision_point": base,
        "access_evaluation_endpoint": base + EVALUATION,
        "access_evaluations_endpoint": base + EVALUATIONS,
    }
    return Answer(HTTPStatus.OK, encode(configuration), (JSON, _PUBLIC, *echo))
