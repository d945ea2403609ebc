"""How a caller is answered, which is all that the addresses for MCP and for REST do differently with a call."""

from __future__ import annotations

from http import HTTPStatus
from typing import Protocol

from django.conf import settings

from entitlements.codes import Code
from entitlements.decisions.verdicts import Verdict
from entitlements.gateway import answers, relay
from entitlements.gateway.http import Answer, Request, Responder
from entitlements.gateway.messages import Call
from entitlements.node.bearer import Bearer
from entitlements.node.directory import ServedSystem
from entitlements.node.refusals import Refused


class Door(Protocol):
    """What one call of a caller needs."""

    @property
    def responder(self) -> Responder:
        """Where the answer goes."""

    @property
    def request_id(self) -> bytes:
        """The client's own id of the call, as JSON, by which it may cancel."""

    @property
    def ends_with_client(self) -> bool:
        """Whether a client that goes away cancels the call."""

    def denied(self, verdict: Verdict, evaluation: str, kept: str) -> Answer:
        """Answer a call that is denied; `kept` are its arguments, sealed for the link to request access."""

    def refused(self, refusal: Refused, evaluation: str) -> Answer:
        """Answer a call that came to nothing."""


class McpDoor:
    """An MCP client, at the address of a system or of all (`at`)."""

    def __init__(
        self, entry: ServedSystem, bearer: Bearer, call: Call, at: str, responder: Responder, tool: str
    ) -> None:
        self.entry, self.bearer, self.call, self.at = entry, bearer, call, at
        self.responder, self.tool = responder, tool

    @property
    def request_id(self) -> bytes:
        """The id of the JSON-RPC request."""
        return self.call.request_id

    @property
    def ends_with_client(self) -> bool:
        """A modern client cancels so (GW-6); to a legacy one going away means nothing."""
        return self.call.is_modern

    def denied(self, verdict: Verdict, evaluation: str, kept: str) -> Answer:
        """Answer in the shape that the system was registered with."""
        return answers.denied(
            self.entry, self.bearer, verdict, evaluation, self.request_id, self.tool, at=self.at, kept=kept
        )  # fmt: skip

    def refused(self, refusal: Refused, evaluation: str) -> Answer:
        """Answer with a JSON-RPC error; what a tool lacks the model is to read, so that is a result."""
        if isinstance(refusal, relay.InputMissing) and self.call.method == "tools/call":
            return answers.failed(refusal, self.request_id, evaluation)
        return answers.refused(refusal, self.request_id, slug=self.at, evaluation=evaluation)


def check_origin(request: Request) -> None:
    """Refuse what a page of another site sends (GW-1). Raises Refused."""
    origin = request.headers.get(b"origin")
    if origin is not None and origin.decode("latin-1") not in (settings.CONSOLE_URL, settings.GATEWAY_URL):
        raise Refused(Code.MALFORMED_CALL, "Requests from this origin are not accepted.", status=HTTPStatus.FORBIDDEN)
