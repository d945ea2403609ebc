"""Local servers in the shipped container: each limit of the sandbox, by the attacks that it stops.

The attacks travel as one archive, since the image holds the product alone; its Python is the one that runs them.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

from entitlements.stdio.sandbox.plan import Level
from tests.engine.deployment import Deployment, check
from tests.entitlements.stdio import gateway, test_sandbox
from tests.entitlements.stdio.test_sandbox import CASES, Here

_PUT = "import base64, sys; open(sys.argv[1], 'wb').write(base64.b64decode(sys.argv[2]))"
LIMITS = (
    *("forks", "memory_of_one_process", "memory_of_all_its_processes", "sockets", "ports", "files", "signals", "calls"),
    *("what_a_child_inherits", "nothing_else_holds_without_no_new_privileges", "length_of_a_file"),
    *("size_of_the_scratch_folder", "open_files", "processor_time", "a_child_that_ignores_the_end"),
    *("a_child_that_dies_leaves_nothing", "a_child_that_floods"),
)
"""The tests of `tests/entitlements/stdio/test_sandbox.py` that ask about what came of the attacks."""


def attacked(made: Deployment) -> str:
    """Attack from a child of the gateway's container, as its user, and hold what came of it to each test of a limit."""
    put(made, "/tmp/attacks.pyz", archive())  # noqa: S108 - the container's own
    cases = {name: case | {"level": Level.FLOOR} for name, case in CASES.items()}
    put(made, "/tmp/cases.json", json.dumps(cases).encode())  # noqa: S108 - as above
    run = "PYTHONPATH=/app python /tmp/attacks.pyz < /tmp/cases.json"
    done = made.run("gateway", ["sh", "-c", run])
    check(done.returncode == 0, done.stderr)
    user = int(made.run("gateway", ["id", "-u"]).stdout)
    tried = judged(json.loads(done.stdout), user)
    return f"as uid {user}: {len(tried)} limits hold"


def judged(found: dict[str, Any], user: int) -> list[str]:
    """Ask the test of each limit about what was found. Returns their names. Raises AssertionError."""
    here = Here(
        user, Level.BUBBLEWRAP
    )  # asked as there: each limit, and not whether a container's own profile holds too
    before, test_sandbox.outcomes = test_sandbox.outcomes, lambda _here: found  # type: ignore[assignment]
    try:
        for name in LIMITS:
            getattr(test_sandbox, f"test_{name}")(here)
    finally:
        test_sandbox.outcomes = before
    return list(LIMITS)


def put(made: Deployment, path: str, content: bytes) -> None:
    """Write a file in the gateway's container."""
    done = made.run("gateway", ["python", "-c", _PUT, path, base64.b64encode(content).decode()])
    check(done.returncode == 0, done.stderr)


def archive() -> bytes:
    """Return the programs that start the attacks, as an archive that Python runs."""
    tests = Path(__file__).resolve().parents[1]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        for path in (tests / "entitlements/stdio/attacks.py", tests / "entitlements/stdio/processes.py"):
            zipped.write(path, f"tests/{path.relative_to(tests)}")
        zipped.writestr("__main__.py", Path(gateway.__file__).read_text())
    return file.getvalue()
