"""The tool `request_access`: all that the list holds for a person's agent that has no access yet.

It reaches no upstream. Any caller that acts for a person and may see the system may call it, whatever is in the list: a
request gives no right by itself. An upstream's own tool of this name, approved before the name was ours, comes first.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from entitlements.arguments import Schema
from entitlements.codes import Code
from entitlements.errors import DomainError, Malformed
from entitlements.gateway.access_requests.requester import ANSWER, QUEUE, AccessAnswer, Ask, Requester
from entitlements.gateway.http import encode
from entitlements.node import records
from entitlements.node.bearer import Bearer
from entitlements.node.records import CallDetails, Recorder
from entitlements.node.refusals import Refused
from entitlements.words import REQUEST_ACCESS_TOOL

NAME: Final = REQUEST_ACCESS_TOOL
_INPUT: Final = {
    "type": "object",
    "properties": {
        "entitlement": {
            "type": "string",
            "maxLength": 128,
            "description": "What to request, by its `entitlement` in the list. Leave it out to get the list.",
        },
        "reason": {
            "type": "string",
            "maxLength": 2000,
            "description": "The business justification, in the person's words. Required with `entitlement`.",
        },
        "lasts": {
            "type": "string",
            "maxLength": 32,
            "description": "For how long, as an ISO 8601 duration such as PT8H or P30D. Left out, the usual time.",
        },
        "tools": {
            "type": "array",
            "items": {"type": "string", "maxLength": 128},
            "minItems": 1,
            "maxItems": 200,
            "uniqueItems": True,
            "description": "Tools of the entitlement, by name. Left out, all that the client could call.",
        },
        "ticket": {
            "type": "string",
            "maxLength": 64,
            "description": "The reference of the ticket that it belongs to, where the person has one.",
        },
    },
    "additionalProperties": False,
}
DEFINITION: Final = encode(
    {
        "name": NAME,
        "title": "Request access",
        "description": (
            "Lists the access that the person can request here, smallest first, or submits a request for it. "
            "Call it without arguments, show the person the list, and call it again with what they picked and why. "
            "People approve the request; the approved tools then appear in the list of tools, without a new sign-in."
        ),
        "inputSchema": _INPUT,
        "annotations": {
            "title": "Request access",
            "readOnlyHint": False,
            "destructiveHint": False,
            "idempotentHint": True,
            "openWorldHint": False,
        },
    }
)
"""The one definition, as JSON."""
_SCHEMA: Final = Schema(json.dumps(_INPUT))
UNAVAILABLE: Final = (
    "Mandate could not answer in time. If you submitted a request, it may have arrived: call again with the same "
    "entitlement, and you get it back."
)

logger = logging.getLogger(__name__)


def is_visible(bearer: Bearer, upstream_tools: Collection[str]) -> bool:
    """Whether a caller may be offered the tool: it acts for a person, and no upstream's tool has the name."""
    return bearer.person is not None and bool(bearer.agent) and NAME not in upstream_tools


async def call(
    recorder: Recorder, about: CallDetails, bearer: Bearer, systems: Sequence[str], arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """Answer a call of an admitted caller about some systems, and record it once. Returns the tool's result.

    Raises Refused where too much is asked for at once, Closed where the call cannot be recorded.
    """
    requester = Requester(
        bearer.agent,
        bearer.client,
        bearer.person or "",
        bearer.session or "",
        about.trace,
        about.request_id,
        about.source,
    )
    answer, outcome, code, message = None, "success", "", ""
    try:
        ask = _ask(arguments)
        answer = await QUEUE.run((requester.agent, requester.person), lambda: _answer(requester, systems, ask))
    except DomainError as why:
        outcome, code, message = "refused", why.code, why.message
    except Refused:
        raise
    except Exception:
        logger.exception("request_access_failed")
        outcome, code, message = "unknown", Code.FEED_UNKNOWN.value, UNAVAILABLE
    if answer is not None and answer.request:
        about.link("request", answer.request)
    await recorder.durably(records.own_tool(about, NAME, outcome, code, arguments, message))
    return _refused(code, message, about.evaluation) if answer is None else _answered(answer)


def _ask(arguments: Mapping[str, Any]) -> Ask:
    """Read the arguments. Raises Malformed."""
    if problem := _SCHEMA.problem(arguments):
        raise Malformed(problem)
    tools = arguments.get("tools")
    texts = {name: arguments[name] for name in ("entitlement", "reason", "lasts", "ticket") if name in arguments}
    return Ask(**texts, tools=None if tools is None else tuple(tools))


def _answer(requester: Requester, systems: Sequence[str], ask: Ask) -> AccessAnswer:
    (answer,) = ANSWER.ask(requester, systems, ask)
    return answer


def _answered(answer: AccessAnswer) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": answer.text}], "structuredContent": answer.data, "isError": False}


def _refused(code: str, message: str, evaluation: str) -> dict[str, Any]:
    data = {"code": code, "message": message, "evaluation_id": evaluation}
    text = f"Not requested ({code}): {message} Reference: {evaluation}"
    return {"content": [{"type": "text", "text": text}], "structuredContent": data, "isError": True}
