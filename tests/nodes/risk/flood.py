"""Sends tokens to an endpoint at a rate, from a process of its own: it imports nothing of the product."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

RATE = int(os.environ.get("EVENTS_A_SECOND", "1000"))
CONNECTIONS = 8
TYPE = "application/secevent+jwt"


async def _send(host: str, port: int, bodies: list[bytes], share: float) -> int:
    """Send each at its moment on one connection that stays open; returns how many were answered 202."""
    reader, writer = await asyncio.open_connection(host, port)
    begun, taken = time.monotonic(), 0
    for number, body in enumerate(bodies):
        await asyncio.sleep(max(0.0, begun + number * share - time.monotonic()))
        head = (
            f"POST /ssf/events HTTP/1.1\r\nhost: {host}\r\ncontent-type: {TYPE}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        taken += answer.startswith(b"HTTP/1.1 202")
    writer.close()
    return taken


async def _flood(bodies: list[bytes], host: str, port: int) -> dict[str, float]:
    begun = time.monotonic()
    parts = [_send(host, port, bodies[n::CONNECTIONS], CONNECTIONS / RATE) for n in range(CONNECTIONS)]
    taken = sum(await asyncio.gather(*parts))
    return {"taken": taken, "seconds": time.monotonic() - begun}


if __name__ == "__main__":
    sys.stdout.write(
        json.dumps(asyncio.run(_flood(Path(sys.argv[1]).read_bytes().split(), sys.argv[2], int(sys.argv[3]))))
    )
