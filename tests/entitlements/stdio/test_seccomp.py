"""The filter, read as the kernel reads it: for each machine, what a child's call gets."""

from __future__ import annotations

import errno

import pytest

from entitlements.stdio.sandbox import seccomp
from entitlements.stdio.sandbox.calls import FLAGS, KNOWN_ARCHITECTURES, NEWEST
from entitlements.stdio.sandbox.seccomp import ALLOW, ERRNO, KILL

EPERM, ENOSYS = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS
MACHINES = sorted(KNOWN_ARCHITECTURES)
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


@each_machine
def test_every_number(machine: str) -> None:
    calls = KNOWN_ARCHITECTURES[machine]
    looked_into = {calls.clone, calls.socket, calls.socketpair, calls.ioctl, calls.prctl} | calls.of_a_process
    for number in set(range(NEWEST + 20)) - looked_into:
        expected = EPERM if number in calls.refused | calls.of_own_files else ALLOW
        expected = ENOSYS if number in calls.absent or number > NEWEST else expected
        assert verdict(machine, number) == expected, number


@each_machine
def test_modes_of_files_are_a_childs_own_business_where_it_is_another_user(machine: str) -> None:
    for number in KNOWN_ARCHITECTURES[machine].of_own_files:
        assert verdict(machine, number, shares=False) == ALLOW


@each_machine
def test_sockets(machine: str) -> None:
    socket, pair = KNOWN_ARCHITECTURES[machine].socket, KNOWN_ARCHITECTURES[machine].socketpair
    close_on_exec = 0o2000000
    for family in range(46):
        assert verdict(machine, socket, family, FLAGS.stream) == EPERM
        assert verdict(machine, pair, family, FLAGS.stream) == (ALLOW if family == FLAGS.unix else EPERM)
        is_internet = family in {FLAGS.inet, FLAGS.inet6}
        for kind in range(1, 8):
            for protocol in (0, FLAGS.tcp, 17, 132, 262):
                may = is_internet and kind == FLAGS.stream and protocol in {0, FLAGS.tcp}
                answer = verdict(machine, socket, family, kind | close_on_exec, protocol, network=True)
                assert answer == (ALLOW if may else EPERM), (family, kind, protocol)


@each_machine
def test_calls_by_their_arguments(machine: str) -> None:
    calls = KNOWN_ARCHITECTURES[machine]
    threads, user_namespace, network_namespace = 0x3D0F00, 0x10000000, 0x40000000
    assert verdict(machine, calls.clone, threads) == ALLOW
    assert verdict(machine, calls.clone, 17 | user_namespace) == EPERM
    assert verdict(machine, calls.clone, 17 | network_namespace) == EPERM
    assert verdict(machine, calls.ioctl, 1, 0x5401) == ALLOW
    assert verdict(machine, calls.ioctl, 1, FLAGS.tiocsti) == EPERM
    assert verdict(machine, calls.ioctl, 1, FLAGS.tioclinux) == EPERM
    assert verdict(machine, calls.prctl, 1) == EPERM, "its end with the keeper's end"
    assert verdict(machine, calls.prctl, 15) == ALLOW
    for number in calls.of_a_process:
        assert verdict(machine, number, 0) == ALLOW
        assert verdict(machine, number, 4000) == EPERM
