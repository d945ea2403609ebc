"""The keeper of a child on a machine that is no Linux: without the calls and the files that are Linux's alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))
sys.platform = "darwin"
for name in ("pidfd_open", "memfd_create", "setresuid", "setresgid"):
    delattr(os, name)

from entitlements.stdio.sandbox import confine, keeper, kernel, processes  # noqa: E402 - it is no Linux by now

for module, used in ((kernel, ("prctl", "syscall")), (processes, ("count_of_user", "descendants", "end_all_below"))):
    for name in used:
        delattr(module, name)
assert len(confine.missing(is_root=False, has_network=False)) == 6
sys.exit(keeper.main(sys.argv[1:]))
