"""A child that does what it may not is contained, one test a limit; each attack works where its limit is left out.

Everything runs twice: as root, whose children are users of their own, and as an unprivileged user (1500), whose
children are that user too.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from entitlements.stdio.sandbox import confine, landlock, processes
from entitlements.stdio.sandbox.plan import Layer
from tests.entitlements.stdio import attacks

UNPRIVILEGED = 1500
ROOT = Path(__file__).resolve().parents[3]
USERS = [0, UNPRIVILEGED] if os.geteuid() == 0 else [os.geteuid()]
DOORS: dict[str, Any] = {"arguments": ("PORT", "OTHER")}
HELD = {Layer.FILES, Layer.SIGNALS, Layer.PORTS}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")


def case(
    program: str,
    *without: Layer,
    arguments: Sequence[str] = (),
    ports: Sequence[str] = (),
    alone: bool = False,
    ends_after_one: bool = False,
    **limits: float,
) -> dict[str, Any]:
    return {
        "program": program,
        "without": without,
        "arguments": arguments,
        "ports": ports,
        "alone": alone,
        "ends_after_one": ends_after_one,
        "limits": limits,
    }


CASES = {
    "forks": case(attacks.FORKS, alone=True, processes=12),
    "forks freely": case(attacks.FORKS, Layer.LIMITS, alone=True, processes=12),
    "memory": case(attacks.MEMORY, address_space=200 << 20),
    "memory freely": case(attacks.MEMORY, Layer.LIMITS, address_space=200 << 20),
    "memory together": case(attacks.MEMORY_TOGETHER, memory=80 << 20),
    "memory together freely": case(attacks.MEMORY_TOGETHER, Layer.WATCH, memory=80 << 20),
    "sockets": case(attacks.SOCKETS, **DOORS),
    "sockets without calls": case(attacks.SOCKETS, Layer.CALLS, **DOORS),
    "sockets freely": case(attacks.SOCKETS, Layer.CALLS, Layer.PORTS, **DOORS),
    "one port": case(attacks.SOCKETS, ports=["PORT"], **DOORS),
    "one port freely": case(attacks.SOCKETS, Layer.PORTS, ports=["PORT"], **DOORS),
    "files": case(attacks.FILES, arguments=("SECRET", "GATEWAY"), alone=True),
    "files freely": case(attacks.FILES, *HELD, Layer.CALLS, arguments=("SECRET", "GATEWAY"), alone=True),
    "signals": case(attacks.SIGNALS, arguments=("GATEWAY",)),
    "signals freely": case(attacks.SIGNALS, *HELD, Layer.CALLS, arguments=("GATEWAY",)),
    "calls": case(attacks.CALLS),
    "calls freely": case(attacks.CALLS, Layer.CALLS),
    "inherited": case(attacks.INHERITED),
    "privileges freely": case(attacks.INHERITED, Layer.PRIVILEGES),
    "file length": case(attacks.FILE_LENGTH, file_bytes=1 << 20),
    "file length freely": case(attacks.FILE_LENGTH, Layer.LIMITS, file_bytes=1 << 20),
    "scratch": case(attacks.SCRATCH, scratch_bytes=2 << 20),
    "scratch freely": case(attacks.SCRATCH, Layer.WATCH, scratch_bytes=2 << 20),
    "open files": case(attacks.OPEN_FILES, open_files=64),
    "open files freely": case(attacks.OPEN_FILES, Layer.LIMITS, open_files=64),
    "processor": case(attacks.PROCESSOR, cpu_seconds=1),
    "processor freely": case(attacks.PROCESSOR, Layer.LIMITS, cpu_seconds=1),
    "stubborn": case(attacks.STUBBORN, ends_after_one=True),
    "dies": case(attacks.DIES),
    "floods": case(attacks.FLOODS),
}


@functools.cache
def outcomes(user: int) -> dict[str, Any]:
    """Run every case as this user, once a run."""
    answer = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("gateway.py"))],
        input=json.dumps(CASES),
        env={"PATH": os.environ["PATH"], "SECRET_KEY": "the gateway's own"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        **_as(user),
    )
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def _as(user: int) -> dict[str, Any]:
    return {"user": user, "group": user, "extra_groups": []} if user != os.geteuid() else {}


def said(user: int, name: str) -> dict[str, Any]:
    """Return what the case's program said first."""
    found = outcomes(user)[name]
    assert found["lines"], found
    line: dict[str, Any] = found["lines"][0]
    return line


def ending(user: int, name: str) -> dict[str, Any]:
    found: dict[str, Any] = outcomes(user)[name]["ending"]
    return found


def is_alive(process: int) -> bool:
    """Whether a process runs: none that has ended and waits for its parent."""
    return bool(processes._parent(process))


each_user = pytest.mark.parametrize("user", USERS)


def test_everything_that_a_child_is_held_by_works_on_this_machine() -> None:
    assert not confine.missing(is_root=False, has_network=True)


def test_an_older_kernel_says_what_it_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 5)
    assert confine.missing(is_root=False, has_network=False) == {Layer.SIGNALS}
    assert not confine.missing(is_root=True, has_network=False)
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    assert confine.missing(is_root=False, has_network=False) == {Layer.SIGNALS, Layer.FILES}


@each_user
def test_forks(user: int) -> None:
    made = said(user, "forks")["made"]
    assert 0 < len(made) < 12
    assert len(said(user, "forks freely")["made"]) == 80
    assert not any(map(is_alive, made)), "what a child started ends with it"
    assert not any(map(is_alive, said(user, "forks freely")["made"]))


@each_user
def test_memory_of_one_process(user: int) -> None:
    assert said(user, "memory") == {"taken": "MemoryError"}
    assert said(user, "memory freely") == {"taken": "taken"}


@each_user
def test_memory_of_all_its_processes(user: int) -> None:
    assert ending(user, "memory together")["reason"] == "memory"
    assert said(user, "memory together freely") == {"survived": True}


@each_user
def test_sockets(user: int) -> None:
    refused = dict.fromkeys(("tcp", "other", "unix", "udp", "raw", "bind"), "PermissionError")
    assert said(user, "sockets") == refused | {"pair": "done"}
    without_filter = said(user, "sockets without calls")
    assert without_filter == dict.fromkeys(refused, "done") | {
        **dict.fromkeys(("tcp", "other", "bind"), "PermissionError"),
        "pair": "done",
    }
    assert set(said(user, "sockets freely").values()) == {"done"}


@each_user
def test_ports(user: int) -> None:
    assert said(user, "one port") == {
        **dict.fromkeys(("other", "unix", "udp", "raw", "bind"), "PermissionError"),
        **dict.fromkeys(("tcp", "pair"), "done"),
    }
    assert said(user, "one port freely")["other"] == "done"


@each_user
def test_files(user: int) -> None:
    denied = ("secret", "shadow", "passwd", "environment", "outside", "cut", "mode")
    assert said(user, "files") == dict.fromkeys(denied, "PermissionError") | {"scratch": "read"}
    assert outcomes(user)["files"]["lines"][1] == {"run": "PermissionError"}, "what it wrote is no program"
    freely = said(user, "files freely")
    assert freely["secret"] == freely["passwd"] == "read"
    assert freely["outside"] == freely["cut"] == "done"
    if user:
        assert freely["environment"] == "read"
        assert freely["mode"] == "done"


@each_user
def test_signals(user: int) -> None:
    assert said(user, "signals") == {
        **dict.fromkeys(("kill", "keeper", "limits"), "PermissionError"),
        "own": "done",
    }
    if user:
        assert set(said(user, "signals freely").values()) == {"done"}


@each_user
def test_calls(user: int) -> None:
    assert said(user, "calls") == {
        **dict.fromkeys(("ptrace", "ring", "fsopen", "death"), "EPERM"),
        "unshare": "PermissionError",
        "unknown": "ENOSYS",
    }
    freely = said(user, "calls freely")
    assert freely["ptrace"] == freely["death"] == "done"
    assert freely["ring"] != "EPERM"


@each_user
def test_what_a_child_inherits(user: int) -> None:
    found = said(user, "inherited")
    assert Path(found.pop("place")).name.startswith("stdio-child-")
    assert found == {
        "environment": ["HOME", "LANG", "PATH", "TMPDIR"],
        "descriptors": [0, 1, 2],
        "new_privileges": 1,
        "session": True,
        "groups": [] if user == 0 else found["groups"],
    }


@each_user
def test_nothing_else_holds_without_no_new_privileges(user: int) -> None:
    assert "Operation not permitted" in outcomes(user)["privileges freely"]["refused"]


@each_user
def test_length_of_a_file(user: int) -> None:
    assert said(user, "file length") == {"wrote": "OSError"}
    assert said(user, "file length freely") == {"wrote": "done"}


@each_user
def test_size_of_the_scratch_folder(user: int) -> None:
    assert ending(user, "scratch")["reason"] == "scratch"
    assert said(user, "scratch freely") == {"survived": True}


@each_user
def test_open_files(user: int) -> None:
    assert said(user, "open files") == {"opened": "OSError"}
    assert said(user, "open files freely") == {"opened": "done"}


@each_user
def test_processor_time(user: int) -> None:
    assert ending(user, "processor")["code"] in {-signal.SIGKILL, -signal.SIGXCPU}
    assert said(user, "processor freely") == {"survived": True}


@each_user
def test_a_child_that_ignores_the_end(user: int) -> None:
    assert ending(user, "stubborn") == {"event": "ended", "reason": "told", "code": -signal.SIGKILL}
    assert outcomes(user)["stubborn"]["seconds"] < 3


@each_user
def test_a_child_that_dies_leaves_nothing(user: int) -> None:
    assert ending(user, "dies")["code"] == -signal.SIGABRT
    assert not is_alive(said(user, "dies")["left"])


@each_user
def test_a_child_that_floods(user: int) -> None:
    found = outcomes(user)["floods"]
    assert found["lines"] == [{"flooded": True}, "TooLong"]
    assert found["stderr"].endswith("xthe end")
    assert len(found["stderr"]) <= 2048


@each_user
def test_a_child_ends_with_the_gateway(user: int) -> None:
    """The gateway is killed, so nothing of it can tidy up."""
    program = "say(me=os.getpid()); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("lasting.py")), attacks.HEAD + program],
        stdout=subprocess.PIPE,
        text=True,
        **_as(user),
    ) as gateway:
        assert gateway.stdout
        child = json.loads(gateway.stdout.readline())["me"]
        assert is_alive(child)
        gateway.kill()
    until = time.monotonic() + 5
    while is_alive(child) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_alive(child)
