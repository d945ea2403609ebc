"""A process that a test starts outside the folders for it fails the test, as a socket does."""

from __future__ import annotations

import _posixsubprocess
import contextlib
import os
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDERS = ("benchmarks", "browser", "conformance", "deployments", "nodes")
"""Whose tests are about processes, or stand on some."""
ELSEWHERE = {
    "architecture": "lint-imports and pytest judge planted mistakes",
    "audit": "an auditor runs the verifier, one file, in a bare interpreter; sealing is a process of its own",
    "entitlements/api/test_discovery.py": "a server of the registry is discovered",
    "entitlements/networks/test_namespace.py": "ip makes a network of the machine",
    "entitlements/openapi/test_octokit.py": "a client of another language reads the answers",
    "entitlements/revocation/test_verifier.py": "an auditor runs the verifier of receipts, one file",
    "entitlements/signers": "OpenBao and SoftHSM are real",
    "entitlements/stdio": "the sandbox is about processes",
    "entitlements/stdio_commands": "a command that people agreed on is started",
    "attacks/test_poisoned_log.py": "as audit",
    "entitlements/tokens/test_issue_token_record.py": "as audit",
    "entitlements/traces/test_export.py": "what is exported at the end of a process",
    "governance/operations/test_start.py": "what a process refuses when it starts",
    "governance/reviews": "openssl and an auditor's one file check evidence packs",
    "governance/webhooks/test_hooks.py": "the recipe of the docs, as it is run",
    "operate": "manage.py in an environment of its own",
    "scripts": "the programs for developers themselves",
}
"""Short programs that other folders start, each with its reason."""
PROGRAMS = {"git": "lists the files of the project"}
"""What any test may start."""
STARTS = (
    (subprocess, "_fork_exec"),
    (_posixsubprocess, "fork_exec"),
    (os, "fork"),
    (os, "forkpty"),
    (os, "posix_spawn"),
    (os, "posix_spawnp"),
)

_running: list[str] = []
"""The test that runs, by its file below `tests`."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool, bool]:
    """Let no process be started by a test whose place is not for it."""
    with _of_test(item.path), pytest.MonkeyPatch.context() as patch:
        for where, name in STARTS:
            patch.setattr(where, name, _refused(getattr(where, name)))
        return (yield)


@contextlib.contextmanager
def _of_test(path: Path) -> Iterator[None]:
    _running.append(path.relative_to(Path(__file__).parent).as_posix())
    try:
        yield
    finally:
        _running.pop()


def is_about_processes(path: Path) -> bool:
    """Return whether tests of this file may also speak to what they start."""
    return path.relative_to(Path(__file__).parent).parts[0] in FOLDERS


def is_place(path: str) -> bool:
    """Return whether tests of this file may start processes."""
    return any(path == place or path.startswith(f"{place}/") for place in (*FOLDERS, *ELSEWHERE))


def _refused(start: Callable[..., Any]) -> Callable[..., Any]:
    def refuse_or_start(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as what it stands before
        if _running and not is_place(_running[-1]) and _program(arguments) not in PROGRAMS:
            pytest.fail(f"A test in {_running[-1]} started a process: its place is {', '.join(FOLDERS)}.")
        return start(*arguments, **named)

    return refuse_or_start


def _program(arguments: tuple[Any, ...]) -> str:
    """Return the name of the program, where one is told."""
    told = arguments[0] if arguments else ""
    path = told if isinstance(told, str | bytes) else next(iter(told), "")
    return Path(os.fsdecode(path)).name
