"""The filter, read as the kernel reads it: for each machine, what a child's call gets."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from entitlements.stdio.sandbox import seccomp
from entitlements.stdio.sandbox.calls import FLAGS, KNOWN_ARCHITECTURES, NEWEST, OF_FCNTL, OF_IOCTL, OF_PRCTL
from entitlements.stdio.sandbox.seccomp import ALLOW, ERRNO, KILL

EPERM, ENOSYS = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS
MACHINES = sorted(KNOWN_ARCHITECTURES)
HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"),
    "aarch64": ("/usr/include/asm-generic/unistd.h",),
}
NAMED = re.compile(r"^#define __NR(?:3264)?_(\w+)\s+([0-9]+)$", re.MULTILINE)
ON_64_BITS = {"fstatat": "newfstatat", "sync_file_range2": "sync_file_range"}
"""The header serves several machines: what a call is named on this one."""
NEVER = {
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp", "get_robust_list",
    "listen", "bind", "accept", "accept4", "inotify_init", "inotify_init1", "inotify_add_watch", "fanotify_init",
    "mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "open_tree", "move_mount", "fsopen", "fsmount",
    "name_to_handle_at", "open_by_handle_at", "mknod", "mknodat", "quotactl", "keyctl", "add_key", "request_key",
    "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "seccomp",
    "landlock_restrict_self", "personality", "setuid", "setresuid", "setgroups", "capset", "syslog", "reboot", "shmget",
    "msgget", "semget", "mq_open", "move_pages", "mbind", "modify_ldt", "iopl", "kexec_load", "init_module", "acct",
}  # fmt: skip
"""Some of what is refused, so that nobody adds it without a thought."""
each_machine = pytest.mark.parametrize("machine", MACHINES)


def verdict(
    machine: str, number: int, *arguments: int, architecture: int = 0, network: bool = False, shares: bool = True
) -> int:
    """Return what the filter answers."""
    lines = seccomp.program(machine, has_network=network, shares_user=shares)
    architecture = architecture or KNOWN_ARCHITECTURES[machine].architecture
    words = {0: number, 4: architecture, **{16 + 8 * at: value for at, value in enumerate(arguments)}}
    at = held = 0
    while True:
        operation, when, otherwise, value = lines[at]
        at += 1
        match operation:
            case seccomp.LOAD:
                held = words.get(value, 0)
            case seccomp.AND:
                held &= value
            case seccomp.RETURN:
                return value
            case seccomp.EQUAL:
                at += when if held == value else otherwise
            case seccomp.ABOVE:
                at += when if held > value else otherwise
            case seccomp.ANY_BIT:
                at += when if held & value else otherwise
            case _:
                raise AssertionError(operation)


@each_machine
def test_another_machines_calls_end_the_child(machine: str) -> None:
    assert verdict(machine, 0, architecture=0x40000003) == KILL
    assert verdict(machine, 0x40000000) == KILL


def table(machine: str) -> dict[str, int]:
    """Return the calls of the kernel's headers on this machine, by name."""
    header = next((Path(path) for path in HEADERS[machine] if Path(path).exists()), None)
    if header is None:
        pytest.skip("the kernel's headers are not installed")
    found = {name: int(number) for name, number in NAMED.findall(header.read_text())}
    named = {ON_64_BITS.get(name, name): number for name, number in found.items()} if machine == "aarch64" else found
    return {name: number for name, number in named.items() if name not in {"syscalls", "arch_specific_syscall"}}


@each_machine
def test_each_call_of_the_kernels_table_is_allowed_by_its_name_or_refused(machine: str) -> None:
    calls = KNOWN_ARCHITECTURES[machine]
    by_argument = {**calls.by_argument, **calls.of_a_process}
    kernel = table(machine)
    assert NEVER & kernel.keys(), "the table is that of a kernel"
    for name, number in kernel.items():
        if name not in by_argument:
            expected = ALLOW if name in calls.allowed else ENOSYS if name in calls.absent else EPERM
            expected = ENOSYS if number > NEWEST else expected
            assert verdict(machine, number) == expected, name
    for names in (calls.allowed, calls.of_own_files, calls.absent, by_argument):
        for name, number in names.items():
            assert kernel.get(name, number) == number, name
    assert not NEVER & (calls.allowed.keys() | calls.of_own_files.keys() | by_argument.keys())


@each_machine
def test_every_number(machine: str) -> None:
    calls = KNOWN_ARCHITECTURES[machine]
    looked_into = {*calls.by_argument.values(), *calls.of_a_process.values()}
    absent = {*calls.absent.values(), *range(NEWEST + 1, NEWEST + 20)}
    for number in set(range(NEWEST + 20)) - looked_into:
        expected = ALLOW if number in calls.allowed.values() else ENOSYS if number in absent else EPERM
        assert verdict(machine, number) == expected, number


@each_machine
def test_a_call_has_one_place_in_the_list(machine: str) -> None:
    calls = KNOWN_ARCHITECTURES[machine]
    every = (calls.allowed, calls.of_own_files, calls.of_a_process, calls.absent, calls.by_argument)
    numbers = [number for names in every for number in names.values()]
    assert len(numbers) == len(set(numbers))


@each_machine
def test_modes_of_files_are_a_childs_own_business_where_it_is_another_user(machine: str) -> None:
    for number in KNOWN_ARCHITECTURES[machine].of_own_files.values():
        assert verdict(machine, number, shares=False) == ALLOW


@each_machine
def test_sockets(machine: str) -> None:
    named = KNOWN_ARCHITECTURES[machine].by_argument
    socket, pair = named["socket"], named["socketpair"]
    close_on_exec = 0o2000000
    for family in range(46):
        assert verdict(machine, socket, family, FLAGS.stream) == EPERM
        assert verdict(machine, pair, family, FLAGS.stream) == (ALLOW if family == FLAGS.unix else EPERM)
        is_internet = family in {FLAGS.inet, FLAGS.inet6}
        for kind in range(1, 8):
            held = verdict(machine, pair, family, kind | close_on_exec, network=True)
            assert held == (ALLOW if family == FLAGS.unix and kind == FLAGS.stream else EPERM), (family, kind)
            for protocol in (0, FLAGS.tcp, 17, 132, 262):
                may = is_internet and kind == FLAGS.stream and protocol in {0, FLAGS.tcp}
                answer = verdict(machine, socket, family, kind | close_on_exec, protocol, network=True)
                assert answer == (ALLOW if may else EPERM), (family, kind, protocol)


@each_machine
def test_calls_by_their_arguments(machine: str) -> None:
    calls = KNOWN_ARCHITECTURES[machine]
    named = calls.by_argument
    threads, user_namespace, network_namespace = 0x3D0F00, 0x10000000, 0x40000000
    assert verdict(machine, named["clone"], threads) == ALLOW
    assert verdict(machine, named["clone"], 17 | user_namespace) == EPERM
    assert verdict(machine, named["clone"], 17 | network_namespace) == EPERM
    for name, at in {"sendto": 3, "sendmsg": 2, "sendmmsg": 3}.items():
        before, no_signal, fast_open = [0x20000000] * at, 0x4000, 0x20000000
        assert verdict(machine, named[name], *before, no_signal) == ALLOW
        assert verdict(machine, named[name], *before, no_signal | fast_open) == EPERM
    set_flags, clone_range, tiocsti, tioclinux = 0x40086602, 0x4020940D, 0x5412, 0x541C
    notify, lease, set_owner, set_signal = 1026, 1024, 8, 10
    end_with_parent, sub_reaper, set_seccomp, ptracer = 1, 36, 22, 0x59616D61
    for name, at, values, others in (
        ("ioctl", 1, OF_IOCTL, (set_flags, clone_range, tiocsti, tioclinux)),
        ("fcntl", 1, OF_FCNTL, (notify, lease, set_owner, set_signal)),
        ("prctl", 0, OF_PRCTL, (end_with_parent, sub_reaper, set_seccomp, ptracer)),
    ):
        for value in {*range(2000), *range(0x5400, 0x5480), *values, *others}:
            expected = ALLOW if value in values else EPERM
            assert verdict(machine, named[name], *[0] * at, value) == expected, (name, value)
        assert not {*values} & {*others}
    for number in calls.of_a_process.values():
        assert verdict(machine, number, 0) == ALLOW
        assert verdict(machine, number, 4000) == EPERM
