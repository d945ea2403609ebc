"""A stand-in for the gateway's process: it starts plans, notes what came of them, and leaves. Runs as any user.

Standard input: JSON `{name: case}` as `case` of test_sandbox makes it; standard output: `{name: what came of it}`.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.append(str(Path(*Path(__file__).resolve().parts[:-4])))

from entitlements.stdio.sandbox.plan import Layer, Level, Limits, Plan
from entitlements.stdio.sandbox.start import NotStarted, TooLong, start
from tests.entitlements.stdio import processes
from tests.entitlements.stdio.attacks import HEAD

FIRST_USER = 64_200
LONGEST = 1 << 20
READ_SECONDS = 40
PYTHON = os.path.realpath(sys.executable)


async def outcome(number: int, case: dict[str, Any]) -> dict[str, Any]:
    """Run one case. Returns its lines, how it ended and what it left."""
    scratch = tempfile.mkdtemp(prefix="stdio-child-")
    uid = FIRST_USER + number if os.geteuid() == 0 else None
    os.chown(scratch, uid or -1, uid or -1)
    plan = Plan(
        argv=(PYTHON, "-I", "-c", HEAD + case["program"], *case["arguments"]),
        scratch=scratch,
        uid=uid,
        ports=tuple(case["ports"]),
        limits=replace(Limits(grace_seconds=0.3), **case["limits"]),
        without=frozenset(map(Layer, case["without"])),
        level=Level(case["level"]),
    )
    lines: list[Any] = []
    try:
        child = await start(plan, longest_line=LONGEST)
    except NotStarted as refused:
        return {"refused": str(refused)}
    try:
        async with asyncio.timeout(READ_SECONDS):
            while line := await child.read():
                lines.append(json.loads(line))
                if case["ends_after_one"]:
                    break
    except (TimeoutError, TooLong) as problem:
        lines.append(type(problem).__name__)
    ending = dict(await child.end())
    shutil.rmtree(scratch)
    left = [each for each in processes.having(f"HOME={scratch}") if each != os.getpid()]
    return {"lines": lines, "ending": ending, "stderr": child.stderr, "left": left}


async def main() -> None:
    """Run every case: those that count processes alone, the rest four at a time."""
    cases = json.load(sys.stdin)
    with (
        socket.create_server(("127.0.0.1", 0)) as door,
        socket.create_server(("127.0.0.1", 0)) as other,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
        tempfile.TemporaryDirectory() as folder,
    ):
        secret = Path(folder) / "secret"
        datagrams.bind(f"{folder}/datagrams")
        os.chmod(f"{folder}/datagrams", 0o777)  # noqa: PTH101, S103 - as below
        os.chmod(folder, 0o777)  # noqa: PTH101, S103 - the attack is to be stopped by nothing else
        known = {
            "PORT": door.getsockname()[1],
            "OTHER": other.getsockname()[1],
            "SECRET": secret,
            "DATAGRAMS": f"{folder}/datagrams",
            "GATEWAY": os.getpid(),
        }
        places = asyncio.Semaphore(4)
        found: dict[str, Any] = {}

        async def one(number: int, name: str, case: dict[str, Any]) -> None:
            for each in ("arguments", "ports"):
                case[each] = [type(value)(known.get(str(value), value)) for value in case[each]]
            case["ports"] = [int(known.get(port, port)) for port in case["ports"]]
            async with places:
                secret.write_text("secret")
                secret.chmod(0o666)
                found[name] = await outcome(number, case)

        numbered = [(number, *each) for number, each in enumerate(cases.items())]
        for each in numbered:
            if each[2]["alone"]:
                await one(*each)
        await asyncio.gather(*(one(*each) for each in numbered if not each[2]["alone"]))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
