"""What the child does between fork and exec: give up everything that its plan does not name, in this order."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

from entitlements.stdio.sandbox import kernel, landlock, processes, seccomp
from entitlements.stdio.sandbox.plan import Layer, Limits, Plan

LAST_DESCRIPTOR = 1 << 20
CAPABILITIES = 64
NICER = 5


class NotConfined(Exception):
    """A step failed, so the child does not start."""


def become(plan: Plan, *, keeper: int, keep: int) -> None:
    """Turn this process, a fresh fork of the keeper, into the plan's program. Raises NotConfined; never returns.

    `keeper`: the process id of the keeper, whose end ends this process. `keep`: a descriptor that exec closes.
    """
    steps: list[tuple[str, Callable[[], object]]] = [
        ("session", os.setsid),
        ("user", lambda: _take_user(plan.uid)),
        ("keeper", lambda: _end_with(keeper)),
        ("scratch", lambda: os.chdir(plan.scratch)),
        ("limits", lambda: _limit(plan)),
        ("privileges", lambda: _renounce(plan)),
        ("files", lambda: landlock.apply(plan)),
        ("descriptors", lambda: _close_all_but(keep)),
        ("calls", lambda: _filter(plan)),
        ("command", lambda: os.execve(plan.argv[0], plan.argv, plan.environment)),  # noqa: S606 - its purpose
    ]
    for name, step in steps:
        try:
            step()
        except (OSError, ValueError, KeyError) as problem:
            message = f"{name}: {problem}"
            raise NotConfined(message) from problem


def _take_user(uid: int | None) -> None:
    """Become the plan's user without groups or capabilities; as root, none stays root."""
    if uid is None:
        if os.getuid() == 0 or os.geteuid() == 0:
            raise PermissionError("the gateway is root, and the plan names no user")
        return
    os.setgroups([])
    if not kernel.IS_LINUX:
        os.setgid(uid)
        os.setuid(uid)
        return
    for capability in range(CAPABILITIES):
        with contextlib.suppress(kernel.Refused):  # this kernel has fewer
            kernel.prctl(kernel.PR_CAPBSET_DROP, capability)
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def _end_with(keeper: int) -> None:
    if kernel.IS_LINUX:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:
        raise ProcessLookupError("the keeper has ended")


def _limit(plan: Plan) -> None:
    os.umask(0o077)
    os.nice(NICER)
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    if plan.has(Layer.LIMITS):
        for kind, limit in _resource_limits(plan.limits, shares_user=plan.uid is None).items():
            _lower(kind, limit)


def _resource_limits(limits: Limits, *, shares_user: bool) -> dict[int, int]:
    """Return each limit. The kernel counts processes by user; a shared one has those on top that run already."""
    running = processes.count_of_user(os.getuid()) - 1 if shares_user else 0
    return {
        resource.RLIMIT_NPROC: running + limits.processes,
        resource.RLIMIT_AS: limits.address_space or resource.RLIM_INFINITY,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_CPU: limits.cpu_seconds,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }


def _lower(kind: int, limit: int) -> None:
    _, hard = resource.getrlimit(kind)
    least = limit if hard == resource.RLIM_INFINITY else hard if limit == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (least, least))


def _close_all_but(keep: int) -> None:
    os.closerange(3, keep)
    os.closerange(keep + 1, LAST_DESCRIPTOR)


def _renounce(plan: Plan) -> None:
    if plan.has(Layer.PRIVILEGES):
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)


def _filter(plan: Plan) -> None:
    if plan.has(Layer.CALLS):
        seccomp.apply(has_network=bool(plan.ports), shares_user=plan.uid is None)


def missing(*, is_root: bool, has_network: bool) -> frozenset[Layer]:
    """Return the layers that do not work on this machine. None missing: a child is held whole.

    Where children have a user of their own (the gateway is root), the kernel keeps their signals from the gateway.
    """
    works = landlock.layers(landlock.abi()) | ({Layer.PRIVILEGES, Layer.LIMITS} if kernel.IS_LINUX else set())
    works |= {Layer.CALLS} if seccomp.is_supported() else set()
    works |= {Layer.WATCH} if kernel.IS_LINUX and Path("/proc/self/stat").exists() else set()
    wanted = set(Layer) - (set() if has_network else {Layer.PORTS})
    wanted -= {Layer.SIGNALS} if is_root else set()
    return frozenset(wanted - works)
