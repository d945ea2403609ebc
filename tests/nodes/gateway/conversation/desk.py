"""A client as the tests of this folder play it: what it sends, and what it reads of a stream, message by message."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx2

from entitlements.gateway import answers
from tests import waits

if TYPE_CHECKING:
    from tests.nodes.gateway.conversation.talker import Talker
    from tests.nodes.gateway.world import Gateway, World

OFFERS: dict[str, Any] = {"sampling": {}, "elicitation": {}, "roots": {}}
SAMPLING: dict[str, Any] = {
    "messages": [{"role": "user", "content": {"type": "text", "text": "a word that no record holds"}}]
}


def asks(method: str, number: int | str = 5, **params: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def tells(method: str, **params: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


@dataclass
class LegacyClient:
    """A client of 2025 in one session."""

    node: Gateway
    here: World
    offers: dict[str, Any] = field(default_factory=lambda: dict(OFFERS))
    session: str = ""
    token: str = ""

    def __post_init__(self) -> None:
        self.token = self.here.token()
        hello = {"protocolVersion": "2025-11-25", "capabilities": self.offers, "clientInfo": {}}
        greeting = asks("initialize", 1, **hello)
        # A node that was asked for much that it does not know looks no more, and hears of this system by its feed.
        self.session = waits.until(lambda: self.post(greeting).headers.get("mcp-session-id", ""))

    @property
    def tool(self) -> str:
        """The name of the tool that lets the server talk."""
        return self.here.tool.name

    @property
    def headers(self) -> dict[str, str]:
        if not self.session:
            return {}
        return {"Mcp-Session-Id": self.session, "MCP-Protocol-Version": "2025-11-25"}

    def post(self, message: dict[str, Any]) -> httpx2.Response:
        return self.node.post(self.here.system.slug, message, self.token, headers=self.headers)

    def answer(self, request: dict[str, Any], **said: object) -> httpx2.Response:
        """Answer what was asked."""
        return self.post({"jsonrpc": "2.0", "id": request["id"], **(said or {"result": {"action": "accept"}})})

    @contextlib.contextmanager
    def calling(self, *say: dict[str, Any]) -> Iterator[Iterator[dict[str, Any]]]:
        """Call the tool that lets the server say something, and yield the messages that come."""
        with self.calling_tool(self.tool, say=say) as messages:
            yield messages

    def calling_tool(
        self, tool: str, request_id: int = 9, **arguments: object
    ) -> contextlib.AbstractContextManager[Iterator[dict[str, Any]]]:
        """Call a tool, and yield the messages that come."""
        return self.asking(asks("tools/call", request_id, name=tool, arguments=arguments))

    def asking(self, request: dict[str, Any]) -> contextlib.AbstractContextManager[Iterator[dict[str, Any]]]:
        """Send a request, and yield the messages that come."""
        return self._streaming("POST", json=request)

    def listening(self) -> contextlib.AbstractContextManager[Iterator[dict[str, Any]]]:
        return self._streaming("GET")

    @contextlib.contextmanager
    def _streaming(self, method: str, **more: Any) -> Iterator[Iterator[dict[str, Any]]]:  # noqa: ANN401 - of httpx2
        headers = {**self.headers, "Authorization": f"Bearer {self.token}", "Accept": "text/event-stream"}
        address = f"{self.node.base}{answers.path(self.here.system.slug)}"
        with httpx2.stream(method, address, headers=headers, timeout=waits.SECONDS, **more) as answer:
            assert answer.status_code == 200, answer.read()
            yield messages_of(answer)


def messages_of(answer: httpx2.Response) -> Iterator[dict[str, Any]]:
    """Return the messages of a stream, or of an answer that came at once and alone."""
    if answer.headers["content-type"] == "application/json":
        return iter([json.loads(answer.read())])
    return (json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line.startswith("data: {"))


def world_of(talker: Talker) -> World:
    """Make a world whose tool lets a server talk."""
    from tests.nodes.gateway import world  # noqa: PLC0415 - the settings are known only now

    schema = {"type": "object", "properties": {"say": {"type": "array"}}, "required": ["say"]}
    return world.build(talker.url, tool="talk", schema=schema)


@dataclass
class StatelessClient:
    """A client of 2026, which declares with each request what it can be asked for; `tool` is what it calls, and `at`.

    Both are those of its world where they are not given.
    """

    node: Gateway
    here: World
    offers: dict[str, Any] = field(default_factory=lambda: dict(OFFERS))
    token: str = ""
    at: str = ""
    tool: str = ""

    def __post_init__(self) -> None:
        self.token = self.token or self.here.token()
        self.at, self.tool = self.at or self.here.system.slug, self.tool or self.here.tool.name

    def call(
        self, *say: dict[str, Any], node: Gateway | None = None, seconds: float = waits.SECONDS, **more: object
    ) -> httpx2.Response:
        """Call the tool that lets the server say something; `more` are other params, `node` another way in."""
        from tests.nodes.gateway import world  # noqa: PLC0415 - the settings are known only now

        meta = {**world.META, "io.modelcontextprotocol/clientCapabilities": self.offers}
        params: dict[str, Any] = {"name": self.tool, "arguments": {"say": say}, "_meta": meta, **more}
        headers = {"MCP-Protocol-Version": world.MODERN, "Mcp-Method": "tools/call", "Mcp-Name": str(params["name"])}
        message = asks("tools/call", f"n-{len(more)}", **params)
        return (node or self.node).post(self.at, message, self.token, headers=headers, seconds=seconds)

    def retry(
        self, asked: dict[str, Any], *say: dict[str, Any], node: Gateway | None = None, **answers: object
    ) -> httpx2.Response:
        """Make the call again with these answers to what it was asked."""
        said = {name: answers.get(name.replace("-", "_"), {"action": "accept"}) for name in asked["inputRequests"]}
        return self.call(*say, node=node, inputResponses=said, requestState=asked["requestState"])


def result(answer: httpx2.Response) -> dict[str, Any]:
    """Return the result of an answer, whether it came at once or as the last of a stream."""
    *_, last = messages_of(answer) if answer.headers["content-type"] == "application/json" else streamed(answer)
    assert "result" in last, last
    found: dict[str, Any] = last["result"]
    return found


def streamed(answer: httpx2.Response) -> list[dict[str, Any]]:
    """Return the messages of a stream that was read whole."""
    return [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line.startswith("data: {")]
