"""Nodes of this process that follow no feed: what they are told to drop, they drop, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from entitlements.node.node import Node


def on_nodes[T](count: int, ask: Callable[..., Awaitable[T]]) -> T:
    """Ask something of several nodes at once, which share one loop."""

    async def run() -> T:
        nodes = [Node() for _ in range(count)]
        async with contextlib.AsyncExitStack() as stack:
            for node in nodes:
                await node.pool.open()
                stack.push_async_callback(node.pool.close)
                stack.push_async_callback(node.upstreams.close)
            return await ask(*nodes)

    return asyncio.run(run())


def on_a_node[T](ask: Callable[[Node], Awaitable[T]]) -> T:
    """Ask something of one node."""
    return on_nodes(1, ask)
