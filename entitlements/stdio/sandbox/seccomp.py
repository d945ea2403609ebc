"""seccomp: the kernel's calls that a child may make, as a program of classic BPF (seccomp(2), bpf(4)).

Everything that is not in `calls` is refused (EPERM), and what is newer does not exist for the child (ENOSYS). No
library for it is both kept and under a permissive licence; the filter is a few hundred comparisons, and the kernel
remembers which calls are always allowed.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from entitlements.stdio.sandbox import kernel
from entitlements.stdio.sandbox.calls import FLAGS, KNOWN_ARCHITECTURES, NEWEST, OF_FCNTL, OF_IOCTL, OF_PRCTL, Calls

LOAD, EQUAL, ABOVE, ANY_BIT, RETURN, AND = 0x20, 0x15, 0x25, 0x45, 0x06, 0x54
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER, ARCHITECTURE = 0, 4
X32 = 0x3FFFFFFF
SECCOMP_MODE_FILTER = 2
type Instruction = tuple[int, int, int, int]
"""Operation, steps when true, steps when false, value."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def is_supported() -> bool:
    """Whether the filter knows this machine's calls, and the kernel takes filters."""
    if not kernel.IS_LINUX or kernel.MACHINE not in KNOWN_ARCHITECTURES:
        return False
    try:
        kernel.prctl(kernel.PR_SET_SECCOMP, SECCOMP_MODE_FILTER, None)
    except kernel.Refused as refused:
        return refused.errno == errno.EFAULT  # it looked for the program, so it takes one
    return False


def program(machine: str, *, has_network: bool, shares_user: bool) -> list[Instruction]:
    """Return the filter. `shares_user`: the gateway runs as the same user, whose files' modes are to be left alone."""
    calls = KNOWN_ARCHITECTURES[machine]
    allowed = {*calls.allowed.values(), *(() if shares_user else calls.of_own_files.values())}
    lines = [
        *((LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, calls.architecture), (RETURN, 0, 0, KILL)),
        *((LOAD, 0, 0, NUMBER), (ABOVE, 0, 1, X32), (RETURN, 0, 0, KILL)),
    ]
    for number in sorted(allowed):
        lines += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    for number, block in _by_argument(calls, has_network=has_network):
        lines += [(EQUAL, 0, len(block), number), *block]
    for number in sorted(calls.absent.values()):
        lines += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ERRNO | errno.ENOSYS)]
    return [*lines, (ABOVE, 0, 1, NEWEST), (RETURN, 0, 0, ERRNO | errno.ENOSYS), (RETURN, 0, 0, ERRNO | errno.EPERM)]


def apply(*, has_network: bool, shares_user: bool) -> None:
    """Hold this process, and all that it starts, to the filter; needs no_new_privs. Raises Refused, KeyError."""
    lines = program(kernel.MACHINE, has_network=has_network, shares_user=shares_user)
    text = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    kernel.prctl(
        kernel.PR_SET_SECCOMP,
        SECCOMP_MODE_FILTER,
        ctypes.byref(_Program(len(lines), ctypes.cast(text, ctypes.c_void_p))),
    )


def _by_argument(calls: Calls, *, has_network: bool) -> list[tuple[int, list[Instruction]]]:
    no: Instruction = (RETURN, 0, 0, ERRNO | errno.EPERM)
    yes: Instruction = (RETURN, 0, 0, ALLOW)
    stream: list[Instruction] = [(LOAD, 0, 0, _argument(1)), (AND, 0, 0, 0xF), (EQUAL, 1, 0, FLAGS.stream), no]
    internet: list[Instruction] = [
        *((LOAD, 0, 0, _argument(0)), (EQUAL, 2, 0, FLAGS.inet), (EQUAL, 1, 0, FLAGS.inet6), no),
        *stream,
        *((LOAD, 0, 0, _argument(2)), (EQUAL, 2, 0, 0), (EQUAL, 1, 0, FLAGS.tcp), no, yes),
    ]
    # A pair of datagrams could be connected to another socket by its path, which Landlock does not hold.
    pair: list[Instruction] = [(LOAD, 0, 0, _argument(0)), (EQUAL, 1, 0, FLAGS.unix), no, *stream, yes]
    blocks = {
        "clone": _without(0, FLAGS.new_namespaces),
        "socket": internet if has_network else [no],
        "socketpair": pair,
        # With MSG_FASTOPEN they connect, and Landlock does not look at them.
        "sendto": _without(3, FLAGS.fast_open),
        "sendmsg": _without(2, FLAGS.fast_open),
        "sendmmsg": _without(3, FLAGS.fast_open),
        "ioctl": _one_of(1, OF_IOCTL),
        "fcntl": _one_of(1, OF_FCNTL),
        "prctl": _one_of(0, OF_PRCTL),
    }
    of_others = [(number, _one_of(0, (0,))) for number in calls.of_a_process.values()]
    return [(calls.by_argument[name], block) for name, block in blocks.items()] + of_others


def _one_of(index: int, values: tuple[int, ...]) -> list[Instruction]:
    """Allow a call with one of these values as its argument."""
    each = [line for value in values for line in ((EQUAL, 0, 1, value), (RETURN, 0, 0, ALLOW))]
    return [(LOAD, 0, 0, _argument(index)), *each, (RETURN, 0, 0, ERRNO | errno.EPERM)]


def _without(index: int, bits: int) -> list[Instruction]:
    """Allow a call without any of these bits in its argument."""
    no, yes = (RETURN, 0, 0, ERRNO | errno.EPERM), (RETURN, 0, 0, ALLOW)
    return [(LOAD, 0, 0, _argument(index)), (ANY_BIT, 0, 1, bits), no, yes]


def _argument(index: int) -> int:
    """Return where the low half of an argument lies in seccomp_data, little end first."""
    return 16 + 8 * index
