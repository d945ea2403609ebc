"""The life of one call of a tool: decide, record, look again, forward, and say how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final
from uuid import UUID

from audit.actions import Action
from audit.draft import TextDraft
from entitlements import codes
from entitlements.budgets import left
from entitlements.codes import Code
from entitlements.connected_accounts.account_calls import Caller
from entitlements.decisions.snapshot import Call as PolicyCall
from entitlements.decisions.verdicts import Effect, Reason, Verdict
from entitlements.gateway import possession, relay
from entitlements.gateway.access_requests import denied_calls
from entitlements.gateway.budgets.reservation import Spending, TooLarge
from entitlements.gateway.dispatch import Forwarding
from entitlements.gateway.doors import Door
from entitlements.gateway.http import Request
from entitlements.gateway.leaked_secrets import leaks
from entitlements.gateway.traces import gateway_spans
from entitlements.node import records
from entitlements.node.bearer import Bearer
from entitlements.node.directory import ServedSystem
from entitlements.node.isolation.isolation import NotForwarded
from entitlements.node.node import Node, Rule
from entitlements.node.records import CallDetails
from entitlements.node.refusals import Closed, Refused
from entitlements.node.snapshots import SnapshotInUse
from entitlements.node.streams import OpenRequest
from entitlements.upstream import egress
from entitlements.words import Next

WATCH_AFTER: Final = 0.05
"""Seconds before we look after a call that is not over: most are over sooner."""
GONE: Final = "the client went away"
_MOST_TRIES: Final = 5


class _RightsChanged(Exception):
    """Rights changed between the decision and the first byte."""


@dataclass(slots=True)
class ToolCall:
    """One call of a tool that this node carries out: in through a door, out by a forwarding."""

    node: Node
    entry: ServedSystem
    bearer: Bearer
    request: Request
    about: CallDetails
    arguments: Mapping[str, Any]
    door: Door
    forwarding: Forwarding
    session: UUID | None = None
    is_counted: bool = False
    """Whether it is about a call that was counted before, so that budgets are about its answer alone."""
    policy_call: PolicyCall = field(init=False)
    _has_asked: bool = False
    _spending: Spending = field(init=False)
    _held: SnapshotInUse | None = None
    _open: OpenRequest = field(init=False)

    async def run(self) -> None:
        """Carry the call through. Raises Refused and Closed while nothing has been answered."""
        self.policy_call = self.bearer.asks(self.entry.slug, self.about.tool, self.arguments)
        self._spending = Spending(self.node, self.about, self.is_counted)
        try:
            await self._run()
        finally:
            self._spending.close(was_sent=self.forwarding.was_sent)

    async def _run(self) -> None:
        verdict = await self._decide()
        self.node.count(verdict)
        await self.node.recorder.durably(
            records.decision(self.about, verdict, self.arguments), possession.take(self.request)
        )
        if not verdict.allowed:
            await self._deny(verdict)
            return
        with gateway_spans.call_span(self.about, self.entry, self.forwarding):
            await self._forward()

    async def _decide(self) -> Verdict:
        """Decide on the facts of now, and deny what is allowed and cannot be sent."""
        reserve = self._spending.take_more if self._has_asked else self._spending.take
        verdict, short = await left.first_with_room(self._ask, partial(reserve, self.policy_call))
        if short is not None:
            self.about.link("budget", short.terms.key)
            return short.verdict
        return verdict

    async def _ask(self, rule: Rule) -> Verdict:
        with gateway_spans.decision_span(self.about, self.entry):
            verdict, self._held = await self.node.decide(self.policy_call, rule)
        if not verdict.allowed:
            return verdict
        problem = await self._account_problem() if self.entry.target.needs_account else None
        if (problem := problem or self.forwarding.problem(verdict)) is not None:
            return Verdict(Effect.DENY, problem.code, (problem,))
        return verdict

    async def _account_problem(self) -> Reason | None:
        """Find the account by which the call goes out, as it is now; say why there is none for this caller."""
        found = await self.node.accounts.find(
            self.entry.slug, self.entry.target, Caller(self.bearer.person, self.bearer.client, self.bearer.agent)
        )
        if isinstance(found, Reason):
            return found
        self.forwarding.account = found
        return None

    async def _forward(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        self._open = open_request = OpenRequest(
            self.policy_call, task, is_call=True, session=self.session, request_id=self.door.request_id,
            account=None if self.forwarding.account is None else self.forwarding.account.account,
        )  # fmt: skip
        watching = asyncio.get_running_loop().call_later(WATCH_AFTER, self._watch)
        self.node.opened.add(open_request)
        began = time.monotonic()
        try:
            await self._until_sent(began)
        except asyncio.CancelledError:
            if not open_request.stop:
                self._end(Action.CALL_INDETERMINATE, "unknown", "cancelled", began)
                raise
            task.uncancel()
            await self._cut(open_request.stop, began)
        finally:
            self.node.opened.remove(open_request)
            self.door.responder.close()
            watching.cancel()

    async def _until_sent(self, began: float) -> None:
        try:
            while (required := await self._carry_out(began)) is not None:
                if not await self._go_on(required, began):
                    return
        except Closed as why:
            with contextlib.suppress(Closed):
                await self._end_withdrawn(why.code, why.message)
            await self._finish_refused(why)

    async def _go_on(self, required: relay.InputRequired, began: float) -> bool:
        """Have the client asked, and decide the call again with what it answers; False when that has ended the call.

        Nothing of the system is held meanwhile. The call may be decided until the token of its last answer expires.
        """
        self._has_asked = True
        try:
            token_until = await self._answered(required)
        except (relay.InputMissing, TooLarge) as why:
            self._end(Action.CALL_FINISHED, "failure", why.code.value, began)
            await self._finish_refused(why)
            return False
        if (token := self.policy_call.token) is not None:
            token = replace(token, expires=max(token.expires, token_until))
            self.policy_call = replace(self.policy_call, token=token)
        verdict = await self._decide()
        if not verdict.allowed:
            await self._withdraw(verdict)
        return verdict.allowed

    async def _answered(self, required: relay.InputRequired) -> float:
        asked_at = time.monotonic()
        try:
            return await self.forwarding.ask(required)
        finally:
            self._open.waited += time.monotonic() - asked_at

    async def _carry_out(self, began: float) -> relay.InputRequired | None:
        """Carry the call out to its end, or to what the system asks for first."""
        try:
            return await self._retry_while_rights_change(began)
        except (egress.Unreachable, egress.ForbiddenAddress) as why:
            await self._failed(why, began)
        except (NotForwarded, TooLarge, relay.InputMissing) as why:
            self._end(Action.CALL_FINISHED, "failure", why.code.value, began)
            await self._finish_refused(why)
        except leaks.SecretInAnswer as why:
            await self._keep_back(why, began)
        return None

    async def _retry_while_rights_change(self, began: float) -> relay.InputRequired | None:
        for _ in range(_MOST_TRIES):
            self.forwarding.measure = self._spending.measure
            try:
                is_local = self.entry.command is not None
                with self.node.isolation.call(self.entry.slug, self.bearer.caller, is_local=is_local) as attempt:
                    ended = await self.forwarding.carry_out(self._gate)
                    attempt.is_away = isinstance(ended, relay.CallEnd) and ended.is_away
            except _RightsChanged:
                verdict = await self._decide()
                if not verdict.allowed:
                    await self._withdraw(verdict)
                    return None
            except relay.SessionLost:
                self.forwarding.lose()
            else:
                if isinstance(ended, relay.InputRequired):
                    return ended
                self._end(Action.CALL_FINISHED, ended.outcome, ended.code, began, bytes=ended.size)
                return None
        raise egress.Unreachable("The system does not keep its sessions.")

    async def _keep_back(self, why: leaks.SecretInAnswer, began: float) -> None:
        """Answer in place of a system that gives a secret away; what it may still say is not heard."""
        if not why.is_over:
            self.forwarding.cancel()
        self.node.recorder.eventually(leaks.event(self.about, why.owners))
        self._end(Action.CALL_FINISHED, "failure", leaks.CODE.value, began)
        await self._deny(leaks.verdict())

    def _gate(self) -> None:
        """Look once more, synchronously, before the first byte: epoch and lease, and the clock for good measure."""
        if not self.node.still_allows(self.policy_call, self._held):
            raise _RightsChanged

    async def _withdraw(self, verdict: Verdict) -> None:
        reasons = (Reason(Code.CALL_WITHDRAWN, codes.meaning(verdict.code).sentence), *verdict.reasons)
        await self._end_withdrawn(verdict.code, verdict.sentence)
        await self._deny(Verdict(Effect.DENY, Code.CALL_WITHDRAWN, reasons, remedy=verdict.remedy))

    async def _end_withdrawn(self, code: Code, sentence: str) -> None:
        """End the call before anything was sent, or between two tries. Raises Closed.

        Returns when that is in the record. An end whose fate is unknown is not written again: the call may have it.
        """
        what = (Action.CALL_INDETERMINATE, "unknown") if self._has_asked else (Action.CALL_WITHDRAWN, "refused")
        if (event := self._ending(*what, code.value, {"reason": sentence})) is not None:
            await self.node.recorder.durably(event)

    async def _deny(self, verdict: Verdict) -> None:
        kept = ""
        if codes.meaning(verdict.code).next is Next.REQUEST:
            arguments, now = self.policy_call.arguments, self.node.now()
            kept = await denied_calls.sealed(self.node.reads(), self.about.evaluation, arguments, now)
        await self.door.responder.finish(self.door.denied(verdict, self.about.evaluation, kept))

    async def _failed(self, why: egress.Unreachable | egress.ForbiddenAddress, began: float) -> None:
        """Say that the upstream failed: certainly without effect if nothing was sent or it turned us away."""
        status = int(str(why.detail.get("status", 0)))
        is_certain = not self.forwarding.was_sent or (status // 100 in (3, 4) and not self._has_asked)
        if is_certain:
            self._spending.give_back()
        action = Action.CALL_FINISHED if is_certain else Action.CALL_INDETERMINATE
        outcome = "failure" if is_certain else "unknown"
        self._end(action, outcome, Code.UPSTREAM_UNAVAILABLE.value, began, status=status)
        self.forwarding.lose()
        await self._finish_refused(Refused(Code.UPSTREAM_UNAVAILABLE, data={"certain": is_certain}))

    async def _cut(self, reason: str, began: float) -> None:
        """End a call that must not, or need not, go on; its upstream request is cancelled with the connection."""
        was_sent = self.forwarding.was_sent
        self.forwarding.cancel()
        action = Action.CALL_INDETERMINATE if was_sent else Action.CALL_WITHDRAWN
        self._end(action, "unknown" if was_sent else "refused", reason.replace(" ", "_"), began)
        if reason == GONE:
            return
        code = Code(reason) if reason in set(Code) else Code.CALL_WITHDRAWN
        await self._finish_refused(Refused(code, "" if reason == code else f"The call was cut short: {reason}."))

    async def _finish_refused(self, refusal: Refused) -> None:
        await self.door.responder.finish(self.door.refused(refusal, self.about.evaluation))

    def _end(self, action: Action, outcome: str, code: str, began: float, **detail: int | str) -> None:
        detail["milliseconds"] = round((time.monotonic() - began - self._open.waited) * 1000)
        if (event := self._ending(action, outcome, code, detail)) is not None:
            self.node.recorder.eventually(event)

    def _ending(self, action: Action, outcome: str, code: str, detail: dict[str, int | str]) -> TextDraft | None:
        """Claim the end of this call and return its event; None when the call has ended. Every end comes from here."""
        if not self._open.claim_end():
            return None
        return records.ending(self.about, action, outcome, code, detail)

    def _watch(self) -> None:
        """Keep the answer's connection alive from now on, and cancel the call when such a client goes away."""
        self.door.responder.keep_alive()
        if self.door.ends_with_client:
            watcher = asyncio.get_running_loop().create_task(self._until_gone())
            self._open.task.add_done_callback(lambda _: watcher.cancel())

    async def _until_gone(self) -> None:
        await self.request.until_gone()
        self._open.end(GONE)
