"""The calls of the Linux kernel that Python has no name for, by their numbers (asm/unistd.h)."""

from __future__ import annotations

import ctypes
import os
import platform
import sys

IS_LINUX = sys.platform == "linux"
"""Elsewhere no layer of the sandbox works, and nothing of this module is called."""
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
MACHINE = platform.machine()

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 22, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS = 36, 38, 39
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
"""From 424 on, calls have one number on every machine."""


class Refused(OSError):
    """The kernel refused a call."""


def prctl(option: int, first: int = 0, second: object = 0) -> int:
    """Change something about this process. Raises Refused."""
    last = second if not isinstance(second, int) else ctypes.c_ulong(second)
    return _checked(LIBC.prctl(option, ctypes.c_ulong(first), last, ctypes.c_ulong(0), ctypes.c_ulong(0)), "prctl")


def syscall(number: int, *arguments: object) -> int:
    """Call the kernel by number; whole numbers go as unsigned long. Raises Refused."""
    as_long = [ctypes.c_ulong(each) if isinstance(each, int) else each for each in arguments]
    return _checked(LIBC.syscall(ctypes.c_long(number), *as_long), f"syscall {number}")


def _checked(answer: int, what: str) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise Refused(number, f"{what}: {os.strerror(number)}")
    return answer
