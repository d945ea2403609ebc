"""A call of a decoy: judged as a call of a tool, recorded as a touch, and answered as a system that fails.

Nothing of it leaves this process. It is counted in no number of decisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from audit import context, draft, redaction
from audit.actions import Action
from audit.context import Principal
from audit.draft import Draft
from entitlements import addresses
from entitlements.codes import Code
from entitlements.connected_accounts.account_calls import Caller
from entitlements.decisions.verdicts import Effect, Reason, Verdict
from entitlements.decoys import decoy_tools
from entitlements.decoys.decoy_tools import DecoyTool
from entitlements.gateway import answers, messages, possession, relay
from entitlements.gateway.doors import McpDoor
from entitlements.gateway.http import JSON, NO_STORE, Answer, Request, encode
from entitlements.gateway.messages import Call
from entitlements.gateway.rest import results
from entitlements.gateway.rest.dispatch import RestAnswer
from entitlements.node.directory import ServedSystem
from entitlements.node.node import Node
from entitlements.node.records import CallDetails
from entitlements.node.refusals import Refused

FAILED: Final = "tool_error"
"""How a touch was answered that failed as a call of the system fails; the word that ends such calls."""
_WHY: Final = f"{Code.UNKNOWN_TOOL}: It is a decoy, and no tool. Nothing was forwarded."


async def answer(
    node: Node, request: Request, about: CallDetails, entry: ServedSystem, call: Call, door: McpDoor
) -> bool:
    """Answer a call of a tool that is none, if it is a decoy of this caller; says whether it was. Raises Closed."""
    if entry.slug == addresses.ALL:
        return False
    decoy = await decoy_tools.named(node.reads(), about.bearer.agent, entry.slug, call.params["name"])
    if decoy is None:
        return False
    about.tool = ""  # no record says that there is a tool of this name
    await _DecoyCall(node, request, about, entry, call, door, decoy).run(relay.arguments_of(call))
    return True


@dataclass(slots=True)
class _DecoyCall:
    """One call of a decoy, at the MCP address of its system or of all."""

    node: Node
    request: Request
    about: CallDetails
    entry: ServedSystem
    call: Call
    door: McpDoor
    decoy: DecoyTool

    async def run(self, arguments: Mapping[str, Any]) -> None:
        """Answer the call, once the touch is in the record. Raises Closed."""
        try:
            messages.check_params(self.call, self.request, self.decoy.mirrored)
        except Refused as why:
            await self._record(arguments, why.code.value)
            answer = answers.refused(why, self.call.request_id, slug=self.door.at, evaluation=self.about.evaluation)
            await self.door.responder.finish(answer)
            return
        verdict = await self._verdict(arguments)
        await self._record(arguments, FAILED if verdict.allowed else verdict.code.value)
        if not verdict.allowed:
            await self.door.responder.finish(self.door.denied(verdict, self.about.evaluation, ""))
            return
        body = answers.result(self.call.request_id, self._failure())
        await self.door.responder.finish(Answer(HTTPStatus.OK, body, (JSON, NO_STORE)))

    async def _verdict(self, arguments: Mapping[str, Any]) -> Verdict:
        bearer = self.about.bearer
        asked = bearer.asks(self.entry.slug, self.decoy.name, arguments)
        verdict, _ = await self.node.ask(partial(decoy_tools.judge, (self.decoy,)), asked)
        if verdict.allowed and self.entry.target.needs_account:
            who = Caller(bearer.person, bearer.client, bearer.agent)
            found = await self.node.accounts.find(self.entry.slug, self.entry.target, who)
            if isinstance(found, Reason):
                return Verdict(Effect.DENY, found.code, (found,))
        return verdict

    async def _record(self, arguments: Mapping[str, Any], answered: str) -> None:
        event = self._event(redaction.digest(arguments), answered)
        self.about.evaluation = str(event.uuid)
        await self.node.recorder.durably(event, possession.take(self.request))

    def _event(self, arguments: str, answered: str) -> Draft:
        """Say that the decoy was touched, by whom and how. It links no tool and no grant: there is none."""
        about, bearer = self.about, self.about.bearer
        person = None if bearer.person is None else Principal("person", bearer.person)
        links = [f"decoy:{self.decoy.key}", f"client:{bearer.client}", f"token:{bearer.token.jti}"]
        links += [f"system:{self.entry.slug}", *(f"agent:{agent}" for agent, _ in bearer.chain)]
        with context.acting(
            trace=about.trace,
            request_id=about.request_id,
            source=about.source,
            session=bearer.session or "",
            on_behalf_of=person,
        ):
            return draft.draft(
                Action.DECOY_TOUCHED,
                by=bearer.principal,
                about=links,
                outcome="failure",
                code=Code.UNKNOWN_TOOL.value,
                detail={
                    "door": "gateway",
                    "method": about.method,
                    "tool": self.decoy.name,
                    "arguments": arguments,
                    "effect": Effect.DENY.value,
                    "reasons": [_WHY],
                    "answered": answered,
                },
            )

    def _failure(self) -> bytes:
        """Return the result of a tool that failed, in the form of the client's era and of the kind of system."""
        if self.entry.operations is not None:
            body = encode({"error": self.decoy.answer})
            headers = [(b"content-type", b"application/json")]
            failed = RestAnswer(HTTPStatus.INTERNAL_SERVER_ERROR, headers, "application/json", len(body), body)
            return results.result(failed, self.entry.slug, self.about.evaluation)
        text = {"content": [{"type": "text", "text": self.decoy.answer}], "isError": True}
        return encode({"resultType": "complete", **text} if self.call.is_modern else text)
