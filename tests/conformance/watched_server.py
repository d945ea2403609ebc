"""The everything-server with what the conformance suite does not ask for: `python -m tests.conformance.watched_server`.

A tool says that the resource one can watch has changed, and the argument of a prompt is completed. The folder of the
everything-server and a port are named after it.
"""

from __future__ import annotations

import sys
from typing import Any

from mcp.server.mcpserver import Context
from mcp_types import Completion, CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference

WATCHED = "test://watched-resource"
COLOURS = ("red", "rose", "green")


def main() -> None:
    """Serve until killed."""
    folder, port = sys.argv[1:]
    sys.path.insert(0, folder)
    from mcp_everything_server import server  # type: ignore[import-not-found]  # noqa: PLC0415 - it is there now

    mcp: Any = server.mcp

    @mcp.tool()
    async def change_watched(ctx: Context) -> str:
        """Say that the watched resource has changed, to each subscriber."""
        if WATCHED in server.resource_subscriptions:
            await ctx.session.send_resource_updated(WATCHED)
        return "changed"

    @mcp.completion()
    async def complete(
        _ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        _context: CompletionContext | None,
    ) -> Completion:
        """Complete a colour."""
        fitting = [each for each in COLOURS if each.startswith(argument.value)]
        return Completion(values=fitting, total=len(fitting), has_more=False)

    mcp.run(transport="streamable-http", port=int(port), event_store=server.event_store, retry_interval=100)


if __name__ == "__main__":
    main()
