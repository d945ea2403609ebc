"""A child that does what it may not is contained, one test a limit; each attack works where its limit is left out.

Everything runs as root, whose children are users of their own, and as an unprivileged user (1500), whose children are
that user too; held by the floor alone, and in bubblewrap's namespaces above it.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from entitlements.stdio.sandbox import bubblewrap, confine, landlock
from entitlements.stdio.sandbox.plan import Layer, Level
from tests import waits
from tests.entitlements.stdio import attacks, processes

UNPRIVILEGED = 1500
ROOT = Path(__file__).resolve().parents[3]
USERS = [0, UNPRIVILEGED] if os.geteuid() == 0 else [os.geteuid()]
needs_bubblewrap = pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")
GONE = {"PermissionError", "FileNotFoundError", "ProcessLookupError", "ConnectionRefusedError", "OSError"}
"""How an attack fails: refused by the floor, or aimed at what a namespace does not have."""
DOORS: dict[str, Any] = {"arguments": ("PORT", "OTHER", "DATAGRAMS")}
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
    "usual": case(attacks.USUAL, address_space=0),
    "usual with ports": case(attacks.USUAL, address_space=0, ports=["PORT"]),
    "descriptors": case(attacks.DESCRIPTORS),
    "descriptors freely": case(attacks.DESCRIPTORS, Layer.CALLS),
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


ABOVE: dict[str, Any] = {
    name: CASES[name] for name in ("forks", "memory", "memory together", "sockets", "one port", "files", "signals")
}
ABOVE |= {
    name: CASES[name]
    for name in (
        "calls",
        "usual",
        "usual with ports",
        "descriptors",
        "inherited",
        "stubborn",
        "dies",
        "floods",
        "scratch",
    )
}
ABOVE["files freely"] = CASES["files freely"]
ABOVE["sockets freely"] = CASES["sockets freely"]
ABOVE["signals freely"] = CASES["signals freely"]


class Here(NamedTuple):
    """Who the gateway is, and how far its children are held."""

    user: int
    level: Level

    @property
    def is_above(self) -> bool:
        return self.level is Level.BUBBLEWRAP


@functools.cache
def outcomes(here: Here) -> dict[str, Any]:
    """Run every case, once a run; in namespaces, those that could go another way there."""
    cases = ABOVE if here.is_above else CASES
    answer = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("gateway.py"))],
        input=json.dumps({name: case | {"level": here.level} for name, case in cases.items()}),
        env={"PATH": os.environ["PATH"], "SECRET_KEY": "the gateway's own"},
        capture_output=True,
        text=True,
        timeout=waits.SECONDS,
        check=False,
        **_as(here.user),
    )
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def _as(user: int) -> dict[str, Any]:
    return {"user": user, "group": user, "extra_groups": []} if user != os.geteuid() else {}


def said(here: Here, name: str) -> dict[str, Any]:
    """Return what the case's program said first."""
    found = outcomes(here)[name]
    assert found["lines"], found
    line: dict[str, Any] = found["lines"][0]
    return line


def ending(here: Here, name: str) -> dict[str, Any]:
    found: dict[str, Any] = outcomes(here)[name]["ending"]
    return found


def names(*parts: str, **others: str) -> dict[str, str]:
    return dict.fromkeys(parts, "PermissionError") | others


FLOOR = [pytest.param(Here(user, Level.FLOOR), id=f"{user}-floor") for user in USERS]
ABOVE_IT = [
    pytest.param(Here(user, Level.BUBBLEWRAP), id=f"{user}-bubblewrap", marks=needs_bubblewrap) for user in USERS
]
each_user = pytest.mark.parametrize("here", FLOOR)
everywhere = pytest.mark.parametrize("here", FLOOR + ABOVE_IT)
above = pytest.mark.parametrize("here", ABOVE_IT)


def test_everything_that_a_child_is_held_by_works_on_this_machine() -> None:
    assert not confine.missing(is_root=False, has_network=True)


@needs_bubblewrap
def test_bubblewrap_works_on_this_machine() -> None:
    assert {bubblewrap.level(has_network=each) for each in (True, False)} == {Level.BUBBLEWRAP}


def test_bubblewrap_counts_where_it_really_runs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for instead in ("/usr/bin/true", "/nowhere/bwrap"):
        monkeypatch.setattr(bubblewrap, "_works", functools.cache(bubblewrap._works.__wrapped__))
        monkeypatch.setattr(shutil, "which", lambda _name, found=instead: found)
        assert bubblewrap.level(has_network=False) is Level.FLOOR


def test_an_older_kernel_says_what_it_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 5)
    assert confine.missing(is_root=False, has_network=False) == {Layer.SIGNALS}
    assert not confine.missing(is_root=True, has_network=False)
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    assert confine.missing(is_root=False, has_network=False) == {Layer.SIGNALS, Layer.FILES}


@everywhere
def test_forks(here: Here) -> None:
    assert 0 < len(said(here, "forks")["made"]) < 12
    assert not outcomes(here)["forks"]["left"], "what a child started ends with it"
    if not here.is_above:
        assert len(said(here, "forks freely")["made"]) == 80
        assert not outcomes(here)["forks freely"]["left"]


@everywhere
def test_memory_of_one_process(here: Here) -> None:
    assert said(here, "memory") == {"taken": "MemoryError"}
    if not here.is_above:
        assert said(here, "memory freely") == {"taken": "taken"}


@everywhere
def test_memory_of_all_its_processes(here: Here) -> None:
    assert ending(here, "memory together")["reason"] == "memory"
    if not here.is_above:
        assert said(here, "memory together freely") == {"survived": True}


@everywhere
def test_sockets(here: Here) -> None:
    holes = ("fast", "fast_message", "listen", "datagrams")
    refused = names("tcp", "other", "unix", "udp", "raw", "bind", *holes)
    assert said(here, "sockets") == refused | {"pair": "done"}
    if not here.is_above:
        without_filter = said(here, "sockets without calls")
        fast = {without_filter.pop(name) for name in ("fast", "fast_message")}
        assert fast in ({"done"}, {"PermissionError"}), "newer kernels close this hole of Landlock"
        refused = names("tcp", "other", "unix", "udp", "raw", "bind", "listen", "datagrams")
        assert without_filter == dict.fromkeys(refused, "done") | names("tcp", "other", "bind", pair="done")
        assert set(said(here, "sockets freely").values()) == {"done"}


@everywhere
def test_ports(here: Here) -> None:
    refused = ("other", "unix", "udp", "raw", "bind", "fast", "fast_message", "listen", "datagrams")
    assert said(here, "one port") == names(*refused, tcp="done", pair="done")
    if not here.is_above:
        assert said(here, "one port freely")["other"] == "done"


@everywhere
def test_files(here: Here) -> None:
    found = said(here, "files")
    assert found.pop("scratch") == "read"
    assert set(found.values()) == {"PermissionError"} if not here.is_above else set(found.values()) <= GONE, found
    assert outcomes(here)["files"]["lines"][1] == {"run": "PermissionError"}, "what it wrote is no program"
    if here.is_above:
        return
    freely = said(here, "files freely")
    assert freely["secret"] == freely["passwd"] == "read"
    assert freely["outside"] == freely["cut"] == "done"
    if here.user:
        assert freely["environment"] == "read"
        assert freely["mode"] == "done"


@everywhere
def test_files_by_their_descriptors(here: Here) -> None:
    """Modes, owners, times and attributes are its own business where it has a user of its own; watching is not."""
    found = said(here, "descriptors")
    watching = {name: found.pop(name) for name in ("inotify", "notify", "lease", "attributes")}
    assert set(watching.values()) == {"PermissionError"}
    assert set(found.values()) == {"PermissionError" if here.user else "done"}, found
    if not here.is_above:
        assert set(said(here, "descriptors freely").values()) == {"done"}


@everywhere
def test_signals(here: Here) -> None:
    found = said(here, "signals")
    assert found.pop("own") == "done"
    assert set(found.values()) == {"PermissionError"} if not here.is_above else set(found.values()) <= GONE, found
    if here.user and not here.is_above:
        assert set(said(here, "signals freely").values()) == {"done"}


@above
def test_namespaces_hold_where_the_floor_is_left_out(here: Here) -> None:
    """What stops these attacks is neither Landlock nor the filter: both are left out."""
    files = said(here, "files freely")
    assert files["scratch"] == "read"
    assert {name for name, what in files.items() if what in GONE} == {*files} - {"scratch"}, files
    sockets = said(here, "sockets freely")
    assert sockets["tcp"] in GONE, "its network has nothing that it could reach"
    assert sockets["other"] in GONE
    assert said(here, "signals freely")["kill"] == "ProcessLookupError"


@everywhere
def test_calls(here: Here) -> None:
    refused = dict.fromkeys(("ptrace", "ring", "fsopen", "death"), "EPERM")
    assert said(here, "calls") == refused | {"unshare": "PermissionError", "unknown": "ENOSYS"}
    if not here.is_above:
        freely = said(here, "calls freely")
        assert freely["ptrace"] == freely["death"] == "done"
        assert freely["ring"] != "EPERM"


@everywhere
def test_what_a_child_inherits(here: Here) -> None:
    found = said(here, "inherited")
    assert Path(found.pop("place")).name.startswith("stdio-child-")
    assert found == {
        "environment": ["HOME", "LANG", "PATH", "TMPDIR"],
        "descriptors": [0, 1, 2],
        "new_privileges": 1,
        "session": True,
        "groups": [] if here.user == 0 else found["groups"],
    }


@everywhere
def test_what_servers_do_works(here: Here) -> None:
    for name in ("usual", "usual with ports"):
        found = dict(said(here, name))
        if here.user:
            found.pop("git", "")  # it sets modes, of which docs/operate/local-servers.md says that it needs a user
        assert set(found.values()) == {"done"}, found


@each_user
def test_nothing_else_holds_without_no_new_privileges(here: Here) -> None:
    assert "Operation not permitted" in outcomes(here)["privileges freely"]["refused"]


@each_user
def test_length_of_a_file(here: Here) -> None:
    assert said(here, "file length") == {"wrote": "OSError"}
    assert said(here, "file length freely") == {"wrote": "done"}


@everywhere
def test_size_of_the_scratch_folder(here: Here) -> None:
    assert ending(here, "scratch")["reason"] == "scratch"
    if not here.is_above:
        assert said(here, "scratch freely") == {"survived": True}


@each_user
def test_open_files(here: Here) -> None:
    assert said(here, "open files") == {"opened": "OSError"}
    assert said(here, "open files freely") == {"opened": "done"}


@each_user
def test_processor_time(here: Here) -> None:
    assert ending(here, "processor")["code"] in {-signal.SIGKILL, -signal.SIGXCPU}
    assert said(here, "processor freely") == {"survived": True}


@everywhere
def test_a_child_that_ignores_the_end(here: Here) -> None:
    assert ending(here, "stubborn") == {"event": "ended", "reason": "told", "code": -signal.SIGKILL}


@everywhere
def test_a_child_that_dies_leaves_nothing(here: Here) -> None:
    assert ending(here, "dies")["code"] == -signal.SIGABRT
    assert said(here, "dies")["left"]
    assert not outcomes(here)["dies"]["left"]


@everywhere
def test_a_child_that_floods(here: Here) -> None:
    found = outcomes(here)["floods"]
    assert found["lines"] == [{"flooded": True}, "TooLong"]
    assert found["stderr"].endswith("xthe end")
    assert len(found["stderr"]) <= 2048


@everywhere
def test_a_child_ends_with_the_gateway(here: Here) -> None:
    """The gateway is killed, so nothing of it can tidy up."""
    program = "say(me=os.getpid()); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("lasting.py")), attacks.HEAD + program, here.level],
        stdout=subprocess.PIPE,
        text=True,
        **_as(here.user),
    ) as gateway:
        assert gateway.stdout
        mark = f"HOME={gateway.stdout.readline().strip()}"
        assert processes.having(mark)
        gateway.kill()
    waits.until(lambda: not processes.having(mark))
