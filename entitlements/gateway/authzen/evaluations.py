"""Decisions for one request: about tools by grants, about everything else by the policy domain of the system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from audit.actions import Action
from entitlements.budgets import left
from entitlements.budgets.left import Shortfall
from entitlements.codes import Code, meaning
from entitlements.decisions.snapshot import AgentFacts, Call
from entitlements.decisions.verdicts import Effect, Reason, Verdict
from entitlements.gateway import answers
from entitlements.gateway.http import Request
from entitlements.gateway.traces import question_spans
from entitlements.gateway.traces.question_spans import Answering
from entitlements.node import records as call_records
from entitlements.node.bearer import Bearer
from entitlements.node.node import Node, Rule, unknown
from entitlements.node.records import CallDetails
from entitlements.policy_domains import rules
from entitlements.traces import call_trace
from entitlements.traces.call_trace import CallTrace

from . import domains, questions, records
from .domains import InForce
from .questions import AGENTS, ENTITIES, PEOPLE, TOOL, TOOLS_CALL, Asked, Malformed

MOST_EVALUATIONS: Final = 100
_SEMANTICS: Final = ("execute_all", "deny_on_first_deny", "permit_on_first_permit")
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


@dataclass(slots=True)
class Evaluator:
    """The questions of one request, by one caller."""

    node: Node
    request: Request
    bearer: Bearer
    budgets: left.Left = field(init=False)
    traced: CallTrace = field(init=False)

    def __post_init__(self) -> None:
        """Know the trace that all answers share, and what is left of budgets, which none of them takes."""
        self.budgets = left.Left(self.node.reads(), self.node.budgets.held)
        self.traced = call_trace.begin(None, self.request.raw, self.bearer.trace)

    @property
    def own_agent(self) -> str:
        """The agent that a question is about which names none: the caller's own, by its slug or its client."""
        return self.bearer.agent or self.bearer.client

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
        merged = {name: item.get(name, body.get(name)) for name in ENTITIES}
        try:
            return await self.evaluate({name: value for name, value in merged.items() if value is not None})
        except Malformed as why:
            return _error(str(why))

    async def evaluate(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one question, recorded like any other decision. Raises Malformed, Closed."""
        asked = questions.read(body)
        with question_spans.answering(self.traced, question_spans.DECIDE) as answering:
            return await self._answer(asked, answering)

    async def _answer(self, asked: Asked, answering: Answering) -> dict[str, Any]:
        if asked.action != TOOLS_CALL and (system := await self.domain_of(asked)):
            decided = await self.by_domain(asked, system)
            if decided is not None:
                return await self._answer_by_domain(asked, system, answering, *decided)
        system = await self.system_of(asked)
        call = questions.call_of(asked, system, self.own_agent)
        verdict, short = refused(asked, system), None
        if verdict is None:
            verdict, short = await self.decide(call)
        about = self.about(call.system, call.tool)
        if short is not None:
            about.link("budget", short.terms.key)
        for kind, name in (("agent", call.agent), ("person", call.person or "")):
            about.link(kind, name)
        for behind, _ in call.chain:
            about.link("agent", behind)
        action = Action.EVALUATION_ALLOWED if verdict.allowed else Action.EVALUATION_DENIED
        self.node.count(verdict)
        await self.node.recorder.durably(call_records.decision(about, verdict, call.arguments, action))
        answering.note(about, verdict, is_ours=verdict.tool_version is not None)
        context = self._context(about, verdict)
        if not verdict.allowed:
            explanation = answers.explanation(
                call.system, call.agent, call.tool, verdict, about.evaluation, is_call=False
            )
            context["reasons"] = explanation["reasons"]
            if "request_access" in explanation:
                context["access_request"] = {"form_url": explanation["request_access"]}
        return {"decision": verdict.allowed, "context": context}

    async def system_of(self, asked: Asked) -> str:
        """Return the system whose tool a question is about: the one it names, or the caller's own; else empty."""
        return asked.server or await domains.asked_by(self.node.reads(), self.bearer.client)

    async def domain_of(self, asked: Asked) -> str:
        """Return the system whose policy domain is asked: the caller's own, whatever its resources are called.

        A caller that belongs to none names it, as for a tool. Empty without one.
        """
        return await domains.asked_by(self.node.reads(), self.bearer.client) or asked.server

    async def decide(self, call: Call) -> tuple[Verdict, Shortfall | None]:
        """Decide a call of a tool by grants and budgets, and name its agent and client as they are registered.

        Returns the budget that denies it as well, where one does. Raises Closed.
        """
        rows = await self.node.snapshots.query(_AGENT, {"name": call.agent, "person": call.person})
        if not rows:
            return unknown(), None
        call.agent, client = rows[-1]
        call.client = call.client or client or ""
        return await self.by_grants(call)

    async def by_grants(self, call: Call, facts: AgentFacts | None = None) -> tuple[Verdict, Shortfall | None]:
        """Decide a call of agent and client that are registered so, on facts that were read. Raises Closed."""

        async def decide(rule: Rule) -> Verdict:
            return (await self.node.decide(call, rule))[0] if facts is None else rule(call, facts, self.node.now())

        verdict, short = await left.first_with_room(decide, partial(self.budgets.shortfall, call))
        return (verdict, None) if short is None else (short.verdict, short)

    async def by_domain(self, asked: Asked, system: str) -> tuple[Verdict, InForce, str] | None:
        """Decide by the policy domain of a system, and name the rule; None where the system has none.

        A denial is final only on the version that is in force after the request arrived. Raises Closed.
        """
        reads = self.node.reads()
        found = await domains.at(self.node, reads, system)
        if found is None:
            return None
        answer = found.rules.answer(question_of(asked), is_in_use=found.is_active)
        if answer.code is not Code.ALLOWED and reads.is_from_memory:
            if (found := await domains.at(self.node, reads.fresh(), system)) is None:
                return None
            answer = found.rules.answer(question_of(asked), is_in_use=found.is_active)
        self.node.check_open()
        effect = Effect.ALLOW if answer.code is Code.ALLOWED else Effect.DENY
        return Verdict(effect, answer.code, (Reason(answer.code, answer.sentence),)), found, answer.rule

    def about(self, system: str, tool: str = "", method: str = "evaluation") -> CallDetails:
        """Return what the event of an answer says of the request."""
        request_id = self.request.headers.get(b"x-request-id", b"").decode("latin-1")[:128]
        return CallDetails(self.bearer, system, method, tool, request_id, self.request.source, traced=self.traced)

    async def _answer_by_domain(
        self, asked: Asked, system: str, answering: Answering, verdict: Verdict, domain: InForce, rule: str
    ) -> dict[str, Any]:
        about = self.about(system)
        self.node.count(verdict)
        await self.node.recorder.durably(records.decision(about, asked, verdict, domain.number, rule))
        answering.note(about, verdict, is_ours=True)
        context = self._context(about, verdict)
        if not verdict.allowed:
            context["reasons"] = [each.sentence for each in verdict.reasons]
        return {"decision": verdict.allowed, "context": context}

    def _context(self, about: CallDetails, verdict: Verdict) -> dict[str, Any]:
        return {
            "evaluation_id": about.evaluation,
            "evaluated_at": datetime.fromtimestamp(self.node.now(), UTC).isoformat(),
            "code": verdict.code.value,
            "reason": meaning(verdict.code).authzen,
        }


def question_of(asked: Asked) -> rules.Question:
    """Return a question as the rules of a policy domain take it."""
    return rules.Question(
        asked.subject,
        asked.action,
        asked.resource,
        asked.subject_properties,
        asked.action_properties,
        asked.resource_properties,
        asked.context,
    )


def refused(asked: Asked, system: str) -> Verdict | None:
    """Deny what no grant can be about: another action, an unknown type, no system. None where grants decide."""
    if asked.action != TOOLS_CALL:
        code, why = (
            Code.UNKNOWN_METHOD,
            "Grants allow the action tools/call alone, and the system has no policy domain.",
        )
    elif asked.subject[0] not in PEOPLE | AGENTS:
        code, why = Code.SUBJECT_UNKNOWN, "Subjects are of the type user, identity, person, agent or client."
    elif asked.resource[0] != TOOL:
        code, why = Code.RESOURCE_UNKNOWN, "What tools/call is about is of the type tool."
    elif not system:
        code, why = Code.SYSTEM_UNKNOWN, "No system is named in resource.properties.server, and the caller has none."
    else:
        return None
    return Verdict(Effect.DENY, code, (Reason(code, why),))


def _error(message: str) -> dict[str, Any]:
    return {"decision": False, "context": {"error": {"status": HTTPStatus.BAD_REQUEST.value, "message": message}}}
