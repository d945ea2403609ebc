"""What the record says of a call: the decision before it goes out, and at most one word on how it ended."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid5

from audit import batch, context, draft, redaction
from audit.actions import Action
from audit.context import Principal
from entitlements.codes import Code
from entitlements.decisions.verdicts import Effect, Verdict
from entitlements.node.bearer import Bearer
from entitlements.node.refusals import Closed

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_LINKABLE: Final = re.compile(r"[^\x00-\x20\x7f]{1,300}")
_MOST_REASONS: Final = 8


@dataclass(slots=True)
class CallDetails:
    """What every event of one call shares."""

    bearer: Bearer
    system: str
    method: str
    tool: str = ""
    trace: str = ""
    request_id: str = ""
    source: str = ""
    evaluation: str = ""
    links: list[str] = field(init=False)

    def __post_init__(self) -> None:
        """Name what the call touches; a name that no tool can have is not linked."""
        bearer = self.bearer
        self.links = [f"client:{bearer.client}", f"token:{bearer.token.jti}"]
        self.link("system", self.system)
        if self.tool:
            self.name_tool(self.tool)

    def link(self, kind: str, name: str) -> None:
        """Let the event be found by a name that a client chose; a name that nothing can have is not linked."""
        if _LINKABLE.fullmatch(name):
            self.links.append(f"{kind}:{name}")

    def name_tool(self, tool: str) -> None:
        """Say which tool is called."""
        self.tool = tool
        if _NAME.fullmatch(tool):
            self.link("tool", f"{self.system}/{tool}")


def decision(
    about: CallDetails, verdict: Verdict, arguments: Mapping[str, object], action: Action | None = None
) -> draft.Draft:
    """Say what was decided, why, and about which arguments: a digest, and of an allowed call the numbers under a bound.

    Its uuid is the evaluation's id.
    """
    is_allowed = verdict.effect is Effect.ALLOW
    action = action or (Action.CALL_ALLOWED if is_allowed else Action.CALL_DENIED)
    detail: dict[str, object] = {"method": about.method, "arguments": redaction.arguments(arguments)["digest"]}
    if about.tool:
        detail["tool"] = about.tool
    if verdict.measured:
        detail["measured"] = verdict.measured
    if verdict.tool_version:
        detail["version"] = verdict.tool_version
    if not is_allowed:
        detail["effect"] = verdict.effect.value
        detail["reasons"] = [f"{reason.code}: {reason.sentence}" for reason in verdict.reasons[:_MOST_REASONS]]
    links = [*about.links, f"grant:{verdict.grant}"] if verdict.grant else about.links
    outcome = "success" if is_allowed else "refused"
    event = _draft(about, action, links, outcome, "" if is_allowed else verdict.code.value, detail)
    about.evaluation = str(event.uuid)
    return event


def refusal(about: CallDetails, code: Code, message: str) -> draft.Draft:
    """Say that a message of a known caller was refused before anything could be decided."""
    detail: dict[str, object] = {"method": about.method[:128], "reasons": [message]}
    event = _draft(about, Action.CALL_DENIED, about.links, "refused", code.value, detail)
    about.evaluation = str(event.uuid)
    return event


def ending(about: CallDetails, action: Action, outcome: str, code: str, detail: dict[str, object]) -> draft.Draft:
    """Say how an allowed call ended. Its uuid follows from the evaluation's, so that the database refuses a second."""
    uuid = uuid5(UUID(about.evaluation), "end")
    return _draft(about, action, about.links, outcome, code, {"evaluation": about.evaluation, **detail}, uuid)


def _draft(
    about: CallDetails,
    action: Action,
    links: list[str],
    outcome: str,
    code: str,
    detail: dict[str, object],
    uuid: UUID | None = None,
) -> draft.Draft:
    bearer = about.bearer
    person = None if bearer.person is None else Principal("person", bearer.person)
    with context.acting(
        trace=about.trace,
        request_id=about.request_id,
        on_behalf_of=person,
        source=about.source,
        session=bearer.session or "",
    ):
        return draft.draft(
            action, by=bearer.principal, about=links, outcome=outcome, code=code, detail=detail, uuid=uuid
        )


class Recorder:
    """Hands events to the batch writer: decisions are waited for, endings are not."""

    def __init__(self, writer: batch.Writer) -> None:
        self._writer = writer
        self._under_way: set[asyncio.Task[None]] = set()
        self.lost = 0

    @property
    def is_running(self) -> bool:
        """Whether the writer takes events at all."""
        task = self._writer._task  # noqa: SLF001 - it shows no more
        return task is not None and not task.done()

    async def durably(self, event: draft.Draft) -> None:
        """Return when the event is in the record for good. Raises Closed (record unavailable)."""
        try:
            await self._writer.write(event)
        except (batch.NotWritten, batch.FateUnknown, ValueError) as why:
            raise Closed(Code.RECORD_UNAVAILABLE) from why

    def eventually(self, event: draft.Draft) -> None:
        """Let the event follow with the next batch; when it cannot, it is counted as lost."""
        task = asyncio.create_task(self._try(event))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def settle(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _try(self, event: draft.Draft) -> None:
        try:
            await self._writer.write(event)
        except (batch.NotWritten, batch.FateUnknown, ValueError):
            self.lost += 1
