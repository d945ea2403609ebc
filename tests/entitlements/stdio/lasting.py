"""A stand-in for a gateway that starts one child, says where its scratch folder is, and lasts until it is killed."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))

from entitlements.stdio.sandbox.plan import Level, Plan
from entitlements.stdio.sandbox.start import start

PYTHON = os.path.realpath(sys.executable)


async def main(program: str, level: str) -> None:
    """Never returns."""
    with tempfile.TemporaryDirectory(prefix="stdio-child-") as scratch:
        uid = 64_200 if os.geteuid() == 0 else None
        os.chown(scratch, uid or -1, uid or -1)
        argv = (PYTHON, "-I", "-c", program)
        child = await start(Plan(argv=argv, scratch=scratch, uid=uid, level=Level(level)), longest_line=1000)
        await child.read()
        print(scratch, flush=True)  # noqa: T201 - its answer
        await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
