"""pa11y and Lighthouse, unmodified, as a child process that looks at pages of a running server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.browser.opening import program
from tests.conformance import nodejs

SOURCE: Final = Path(__file__).with_name("node")
WAYS: Final = [(width, scheme) for width in (1440, 390, 320) for scheme in ("light", "dark")]
"""Each width with each colour scheme."""
SECONDS_A_PAGE: Final = 60
"""After so long for each page the child is taken to hang."""


def look(address: str, visits: Sequence[Mapping[str, Any]], folder: Path) -> tuple[list[str], dict[str, int]]:
    """Return what both say of these pages, and the milliseconds that each page took.

    `visits` are those of `audit.mjs`: the cookies of a person, and the paths that they look at.
    Skips the test where Node.js or the packages cannot be had.
    """
    modules = nodejs.modules(SOURCE)
    (folder / "node_modules").symlink_to(modules)
    script = shutil.copy(SOURCE / "audit.mjs", folder)
    jobs = folder / "jobs.json"
    jobs.write_text(json.dumps({"address": address, "visits": visits, "ways": WAYS}))
    done = subprocess.run(
        [nodejs.program(), script, jobs],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "CHROME_PATH": program()},
        capture_output=True,
        text=True,
        timeout=SECONDS_A_PAGE * (1 + sum(len(visit["paths"]) for visit in visits)),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = [
        f"{line['path']} {line['way']} {line['tool']}: {line['code']}: {line['says']} {line['where'][:200]}"
        for line in lines
        if "tool" in line
    ]
    return found, {line["path"]: line["ms"] for line in lines if "ms" in line}
