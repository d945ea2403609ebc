"""What the record says of a call: the decision before it goes out, and at most one word on how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from audit import batch, draft, redaction
from audit.actions import Action
from audit.context import Principal
from audit.draft import TextDraft
from audit.statements import Claim
from entitlements.codes import Code
from entitlements.decisions.verdicts import Effect, Verdict
from entitlements.definitions import primitives
from entitlements.node.bearer import Bearer
from entitlements.node.refusals import Closed, Refused
from entitlements.traces.call_trace import LINKABLE, TraceDetails

_MOST_REASONS: Final = 8

type Who = tuple[str, str, str | None, str, str]
"""Who calls: agent, client, person, session, and the id of the token."""


@dataclass(slots=True)
class CallDetails(TraceDetails):
    """What every event of one call shares."""

    bearer: Bearer
    system: str
    method: str
    tool: str = ""
    request_id: str = ""
    source: str = ""
    evaluation: str = ""

    def shared(self, grant: str | None) -> draft.Shared:
        """Return what its events share with those of other calls of the same caller to the same tool."""
        bearer = self.bearer
        who = (bearer.agent, bearer.client, bearer.person, bearer.session or "", bearer.token.jti)
        chain = tuple(f"agent:{agent}" for agent, _ in bearer.chain)
        return _shared(who, self.system, self.tool, grant, chain + self.named)


def decision(
    about: CallDetails, verdict: Verdict, arguments: Mapping[str, object], action: Action | None = None
) -> TextDraft:
    """Say what was decided, why, and about which arguments: a digest, and of an allowed call the numbers under a bound.

    It names each guardrail that stopped the call, or observes and would have, and the agents behind the caller, the
    nearest first, each with its client. Its uuid is the evaluation's id.
    """
    is_allowed = verdict.effect is Effect.ALLOW
    action = action or (Action.CALL_ALLOWED if is_allowed else Action.CALL_DENIED)
    digest = redaction.digest(arguments)
    if is_allowed and not (verdict.measured or verdict.guardrails or about.bearer.chain):
        detail = f'{{"arguments":"{digest}",{_called(about.method, about.tool, verdict.tool_version or "")}'
    else:
        detail = draft.canonical(_whole(about, verdict, digest))
    about.evaluation = draft.new_uuid()
    for grant in verdict.behind:
        about.link("grant", grant)
    for guardrail in verdict.guardrails:
        about.link("guardrail", guardrail.key)
    what = (action, "success", "") if is_allowed else (action, "refused", verdict.code.value)
    return _event(about, verdict.grant, what, detail, about.evaluation)


def refusal(about: CallDetails, code: Code, message: str) -> TextDraft:
    """Say that a message of a known caller was refused before anything could be decided."""
    detail = draft.canonical({"method": about.method[:128], "reasons": [message]})
    about.evaluation = draft.new_uuid()
    return _event(about, None, (Action.CALL_DENIED, "refused", code.value), detail, about.evaluation)


def own_tool(
    about: CallDetails, tool: str, outcome: str, code: str, arguments: Mapping[str, object], reason: str = ""
) -> TextDraft:
    """Say how a call of a tool of ours ended, which reaches no upstream. Its uuid is the evaluation's id."""
    detail: dict[str, object] = {"method": about.method, "tool": tool, "arguments": redaction.digest(arguments)}
    if reason:
        detail["reasons"] = [reason]
    about.evaluation = draft.new_uuid()
    what = (Action.REQUEST_ACCESS_CALLED, outcome, code)
    return _event(about, None, what, draft.canonical(detail), about.evaluation)


def ending(about: CallDetails, action: Action, outcome: str, code: str, detail: Mapping[str, int | str]) -> TextDraft:
    """Say how an allowed call ended. Its uuid follows from the evaluation's, so that the database refuses a second."""
    if any(type(value) is str for value in detail.values()):
        text = draft.canonical({"evaluation": about.evaluation, **detail})
    else:
        written = {"evaluation": f'"{about.evaluation}"', **detail}
        text = "{" + ",".join([f'"{name}":{written[name]}' for name in sorted(written)]) + "}"
    return _event(about, None, (action, outcome, code), text, draft.following_uuid(about.evaluation, b"end"))


def _event(about: CallDetails, grant: str | None, what: draft.What, detail: str, uuid: str) -> TextDraft:
    about.code = what[2]
    return draft.event(
        about.shared(grant),
        what,
        detail,
        uuid=uuid,
        trace=about.trace,
        request_id=about.request_id,
        source=about.source,
    )


def _whole(about: CallDetails, verdict: Verdict, digest: str) -> dict[str, object]:
    detail: dict[str, object] = {"method": about.method, "arguments": digest}
    if about.tool:
        detail["tool"] = about.tool
    if chain := about.bearer.chain:
        detail["chain"], detail["chain_clients"] = (list(names) for names in zip(*chain, strict=True))
    if verdict.measured:
        detail["measured"] = verdict.measured
    if verdict.tool_version:
        detail["version"] = verdict.tool_version
    if verdict.guardrails:
        detail["guardrails"] = [each.written for each in verdict.guardrails[:_MOST_REASONS]]
    if verdict.effect is not Effect.ALLOW:
        detail["effect"] = verdict.effect.value
        detail["reasons"] = [f"{reason.code}: {reason.sentence}" for reason in verdict.reasons[:_MOST_REASONS]]
    return detail


@lru_cache(maxsize=draft.MOST_KEPT)
def _called(method: str, tool: str, version: str) -> str:
    """Return the rest of an allowed call's detail, after the digest of its arguments."""
    named = {"method": method, "tool": tool, "version": version}
    return draft.canonical({name: value for name, value in named.items() if value or name == "method"})[1:]


@lru_cache(maxsize=draft.MOST_KEPT)
def _shared(who: Who, system: str, tool: str, grant: str | None, named: tuple[str, ...]) -> draft.Shared:
    """Name what a call touches; a name that no tool or system can have is not linked. Raises draft.BadEvent."""
    agent, client, person, session, jti = who
    links = [f"client:{client}", f"token:{jti}"]
    if LINKABLE.fullmatch(system):
        links.append(f"system:{system}")
    if primitives.is_name(tool) and LINKABLE.fullmatch(f"{system}/{tool}"):
        links.append(f"tool:{system}/{tool}")
    if grant:
        links.append(f"grant:{grant}")
    actor = Principal("agent", agent) if agent else Principal("client", client)
    return draft.shared(str(actor), person, session, (*links, *named))


class Recorder:
    """Hands events to the batch writer: decisions are waited for, endings are not."""

    def __init__(self, writer: batch.Writer) -> None:
        self._writer = writer
        self.lost = 0

    @property
    def is_running(self) -> bool:
        """Whether the writer takes events at all."""
        task = self._writer._task  # noqa: SLF001 - it shows no more
        return task is not None and not task.done()

    async def durably(self, event: TextDraft | draft.Draft, claim: Claim | None = None) -> None:
        """Return when the event is in the record for good, and the name of a proof used up with it.

        Raises Closed (record unavailable), and Refused where the proof was used before.
        """
        try:
            await self._writer.write(event, claim)
        except batch.NameUsed as why:
            raise Refused(Code.PROOF_INVALID, "The proof was used before.") from why
        except (batch.NotWritten, batch.FateUnknown, ValueError) as why:
            raise Closed(Code.RECORD_UNAVAILABLE) from why

    def eventually(self, event: TextDraft | draft.Draft) -> None:
        """Let the event follow with the next batch; when it cannot, it is counted as lost."""
        try:
            self._writer.follow(event).add_done_callback(self._note)
        except batch.NotWritten:
            self.lost += 1

    def _note(self, done: asyncio.Future[None]) -> None:
        if done.cancelled() or done.exception() is not None:
            self.lost += 1
