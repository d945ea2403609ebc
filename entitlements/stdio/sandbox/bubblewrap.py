"""bubblewrap: namespaces for a child and its keeper, above the floor, where `bwrap` works here (bwrap(1)).

Both see their own processes alone, a read-only view of the files that the plan names, their scratch folder, and no
network unless the plan has ports. The floor is the same inside: what bubblewrap adds holds also where a part of the
floor was left out. It needs no privileges where the kernel lets users make namespaces.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from entitlements.stdio.sandbox import kernel
from entitlements.stdio.sandbox.plan import Level, Plan

CODE = Path(__file__).resolve().parent
KEEPER = str(CODE / "keeper.py")
SECONDS = 10.0


def interpreter(plan: Plan) -> list[str]:
    """Return the command that runs the keeper of this plan: Python by itself, or in namespaces of its own."""
    bare = [sys.executable, "-I", "-S", KEEPER]
    if plan.level is not Level.BUBBLEWRAP:
        return bare
    return [*_namespaces(plan), "--", os.path.realpath(sys.executable), *bare[1:]]


def level(*, has_network: bool) -> Level:
    """Return how far a child can be held on this machine beside the floor, by having tried it once."""
    return Level.BUBBLEWRAP if kernel.IS_LINUX and _works(has_network, os.geteuid()) else Level.FLOOR


@functools.cache
def _works(has_network: bool, _user: int) -> bool:  # noqa: FBT001 - a key of the cache
    """Run the keeper's interpreter in its namespaces once. Waits for it: not to be called in an event loop."""
    with tempfile.TemporaryDirectory(prefix="mandate-stdio-") as scratch:
        plan = Plan(argv=(), scratch=scratch, ports=(1,) if has_network else (), level=Level.BUBBLEWRAP)
        try:
            answer = subprocess.run(  # noqa: S603 - our own program
                [*interpreter(plan), "works"], env={}, cwd="/", capture_output=True, timeout=SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
    return answer.returncode == 0 and answer.stdout == b"works 2\n"


def _namespaces(plan: Plan) -> list[str]:
    """Return bwrap and its options. As root no user namespace is made: children are other users than root."""
    options = ["--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    options += [] if plan.ports else ["--unshare-net"]
    options += ["--unshare-user"] if os.geteuid() else []
    read_only = (*plan.read_only, sys.base_prefix, str(CODE))
    for folder in sorted({str(Path(path).parent) for path in (*read_only, plan.scratch)} - {"/"}):
        options += ["--perms", "0755", "--dir", folder]  # else they would be root's alone
    for path in read_only:
        options += ["--ro-bind-try", path, path]
    options += ["--proc", "/proc", "--dev", "/dev", "--bind", plan.scratch, plan.scratch]
    return [shutil.which("bwrap") or "bwrap", *options, "--remount-ro", "/", "--chdir", "/"]
