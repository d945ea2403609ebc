"""A request of a stateless client that it makes again, with its answers to what a legacy upstream asked in its call.

It is decided again (GW-12) and recorded as the retry of that call (`call.retried`), under an evaluation of its own. It
is no call of its own: what it may cost was taken by the call, whose end is the end of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from audit import draft, redaction
from audit.actions import Action
from audit.draft import TextDraft
from entitlements.codes import Code
from entitlements.decisions.verdicts import Verdict
from entitlements.gateway import possession
from entitlements.gateway.calls import ToolCall
from entitlements.gateway.exchange import Exchange
from entitlements.gateway.messages import Call
from entitlements.gateway.traces import gateway_spans
from entitlements.gateway.waiting_calls import other_nodes, waiting_call
from entitlements.gateway.waiting_calls.waiting_call import Part, RequestState, WaitingCall
from entitlements.keys import session_keys
from entitlements.node import records
from entitlements.node.directory import ServedSystem
from entitlements.node.records import CallDetails
from entitlements.node.refusals import Refused


async def state_of(exchange: Exchange, entry: ServedSystem, call: Call) -> RequestState | None:
    """Return the request state of ours that a request names; None without one, or with one of the upstream's own.

    Raises Refused for one that is of another caller, system or request, and for one that is too old.
    """
    text = call.params.get("requestState")
    if not call.is_modern or not isinstance(text, str):
        return None
    try:
        opened = await session_keys.opened(exchange.node.reads(), text, purpose=waiting_call.PURPOSE)
        state = waiting_call.read_state(opened)
    except (session_keys.NotOurs, msgspec.MsgspecError):
        return None
    about = (state.key, state.system, state.method, state.params)
    is_of_call = about == (exchange.bearer.key, entry.slug, call.method, waiting_call.digest(call))
    if not is_of_call or not exchange.node.now() < state.until:
        raise Refused(Code.REQUEST_STATE_INVALID)
    return state


def answers_of(call: Call) -> dict[str, Any]:
    """Return what a client answered, by the names of the questions. Raises Refused for another form."""
    said = call.params.get("inputResponses", {})
    if not isinstance(said, dict) or not all(isinstance(answer, dict) for answer in said.values()):
        raise Refused(Code.MALFORMED_CALL, "The inputResponses are not an object of results.")
    return said


@dataclass(slots=True, kw_only=True)
class RetriedCall(ToolCall):
    """The retry of a call that waits, here or at another node: `retried` says which, `part` where its answer goes."""

    retried: RequestState
    part: Part
    answers: dict[str, Any]

    async def _run(self) -> None:
        verdict = await self._decide()
        self.node.count(verdict)
        event = _event(self.about, self.arguments, self.retried) if verdict.allowed else None
        event = event or records.decision(self.about, verdict, self.arguments)
        await self.node.recorder.durably(event, possession.take(self.request))
        if not verdict.allowed:
            await self._deny(verdict)
            return
        try:
            await self._resume()
        except Refused as why:
            await self.node.recorder.durably(records.refusal(self.about, why.code, why.message))
            await self._finish_refused(why)

    async def _decide(self) -> Verdict:
        """Decide on the facts of now; budgets and accounts were looked at for the call."""
        with gateway_spans.decision_span(self.about, self.entry):
            verdict, self._held = await self.node.decide(self.policy_call)
        return verdict

    async def _resume(self) -> None:
        """Hand the answers to the call, and answer with what it says then. Raises Refused."""
        waiting = self.node.waiting.get(self.retried.call)
        if isinstance(waiting, WaitingCall):
            self._look_again()
            waiting.take_up(self.retried.turn, self.part)
            await waiting.go_on(self.part, self.answers)
            await waiting.attend(self.part, self.request.receive)
            return
        if self.retried.run == self.node.places.run:
            raise Refused(Code.CALL_OVER)
        message = other_nodes.RetryMessage(
            self.retried.call, self.retried.turn, self.part.request_id, self.part.progress, self.answers
        )
        await other_nodes.hand_over(
            self.node, self.bearer, self.retried, message, self.part.stream, self.request, self._look_again
        )  # fmt: skip

    def _look_again(self) -> None:
        """Look once more, synchronously, before anything goes out. Raises Refused, Closed."""
        if not self.node.still_allows(self.policy_call, self._held):
            raise Refused(Code.CALL_WITHDRAWN)


def _event(about: CallDetails, arguments: Mapping[str, object], retried: RequestState) -> TextDraft:
    """Say that a client made the request again, of which call. Its uuid is the evaluation's id."""
    about.evaluation = draft.new_uuid()
    detail: dict[str, object] = {
        "method": about.method,
        "tool": about.tool,
        "arguments": redaction.digest(arguments),
        "evaluation": retried.evaluation,
    }
    return draft.event(
        about.shared(None), (Action.CALL_RETRIED, "success", ""), draft.canonical(detail),
        uuid=about.evaluation, trace=about.trace, request_id=about.request_id, source=about.source,
    )  # fmt: skip
