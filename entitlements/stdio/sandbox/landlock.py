"""Landlock: which files a process and its children may touch, which ports, whom they may signal (landlock(7))."""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat

from entitlements.stdio.sandbox import kernel
from entitlements.stdio.sandbox.plan import Layer, Plan

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG, MAKE_SYM = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 12
REFER, TRUNCATE = 1 << 13, 1 << 14
FILE_RIGHTS_OF_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
READ = EXECUTE | READ_FILE | READ_DIR
SCRATCH = (
    READ_FILE | READ_DIR | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM | REFER | TRUNCATE
)
"""Everything but running what was written there, and making devices, sockets and pipes."""
OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
DEVICES = {
    "/dev/null": READ_FILE | WRITE_FILE,
    "/dev/zero": READ_FILE,
    "/dev/random": READ_FILE,
    "/dev/urandom": READ_FILE,
}
BIND_TCP, CONNECT_TCP = 1 << 0, 1 << 1
SCOPE_ABSTRACT_UNIX, SCOPE_SIGNAL = 1 << 0, 1 << 1
FILES_ABI, PORTS_ABI, SIGNALS_ABI = 3, 4, 6
"""From which version on files cannot be truncated around the rules, ports are held, and signals are."""
RULE_PATH, RULE_PORT, VERSION = 1, 2, 1


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("ports", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Path(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


class _Port(ctypes.Structure):
    _fields_ = (("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64))


def abi() -> int:
    """Return the version of Landlock that answers here; 0 where none does."""
    if not kernel.IS_LINUX:
        return 0
    try:
        return kernel.syscall(kernel.LANDLOCK_CREATE_RULESET, None, 0, VERSION)
    except kernel.Refused:
        return 0


def layers(version: int) -> frozenset[Layer]:
    """Return the layers that this version holds whole."""
    needs = {Layer.FILES: FILES_ABI, Layer.PORTS: PORTS_ABI, Layer.SIGNALS: SIGNALS_ABI}
    return frozenset(layer for layer, least in needs.items() if version >= least)


def apply(plan: Plan) -> None:
    """Hold this process, and all that it starts, to the plan's files, ports and signals. Raises Refused."""
    version = abi()
    wanted = {Layer.FILES} | ({Layer.PORTS} if plan.ports else set())
    wanted |= {Layer.SIGNALS} if plan.uid is None else set()  # a user of its own cannot signal the gateway
    if unable := {layer for layer in wanted - layers(version) if plan.has(layer)}:
        raise kernel.Refused(0, f"Landlock {version} does not hold {', '.join(sorted(unable))}")
    handled = _Ruleset(
        files=FILE_RIGHTS_OF_ABI[min(version, 5)] if version and plan.has(Layer.FILES) else 0,
        ports=BIND_TCP | CONNECT_TCP if version >= PORTS_ABI and plan.has(Layer.PORTS) else 0,
        scoped=SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL if version >= SIGNALS_ABI and plan.has(Layer.SIGNALS) else 0,
    )
    if not (handled.files or handled.ports or handled.scoped):
        return
    size = 24 if version >= SIGNALS_ABI else 16 if version >= PORTS_ABI else 8
    ruleset = kernel.syscall(kernel.LANDLOCK_CREATE_RULESET, ctypes.byref(handled), size, 0)
    try:
        if handled.files:
            _allow_paths(ruleset, plan, handled.files)
        for port in plan.ports if handled.ports else ():
            _add(ruleset, RULE_PORT, _Port(CONNECT_TCP, port))
        kernel.syscall(kernel.LANDLOCK_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow_paths(ruleset: int, plan: Plan, handled: int) -> None:
    for path in plan.read_only:
        with contextlib.suppress(FileNotFoundError):
            _allow_path(ruleset, path, READ & handled)
    for path, rights in DEVICES.items():
        _allow_path(ruleset, path, rights)
    _allow_path(ruleset, plan.scratch, SCRATCH & handled)


def _allow_path(ruleset: int, path: str, rights: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        is_folder = stat.S_ISDIR(os.fstat(place).st_mode)
        _add(ruleset, RULE_PATH, _Path(rights if is_folder else rights & OF_A_FILE, place))
    finally:
        os.close(place)


def _add(ruleset: int, kind: int, rule: ctypes.Structure) -> None:
    kernel.syscall(kernel.LANDLOCK_ADD_RULE, ruleset, kind, ctypes.byref(rule), 0)
