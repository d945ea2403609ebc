"""What two people agree on about a command, and which of it can be agreed on. Pure.

Terms are a mapping with these names; so they are stored with a proposal, and read by `stdio.command`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from http import HTTPStatus
from typing import Any, Final

from entitlements.errors import DomainError
from entitlements.stdio import package
from entitlements.stdio.sandbox.plan import Layer, Limits

TERMS: Final = ("folder", "digest", "argv", "env", "ports", "shared", "limits", "without")
USUAL: Final[Mapping[str, Any]] = {"env": {}, "ports": [], "shared": False, "limits": {}, "without": []}
MOST_PARTS: Final = 40
LONGEST_PART: Final = 500
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
_LOADERS: Final = re.compile(r"LD_.*|GCONV_PATH|RES_OPTIONS|HOME|TMPDIR|PATH")
"""What would change how every program is loaded, or what the plan itself sets."""
_MOST: Final[Mapping[str, float]] = {
    "processes": 512,
    "memory": 16 << 30,
    "address_space": 1 << 46,
    "open_files": 4096,
    "cpu_seconds": 86_400,
    "file_bytes": 4 << 30,
    "scratch_bytes": 16 << 30,
    "grace_seconds": 4,
}
_MAY_BE_NONE: Final = frozenset({"address_space"})
_LAST_PORT: Final = 65_535


class CommandMalformed(DomainError):
    """The command is not one that can be agreed on."""

    code, status = "stdio_command_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


def whole(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return terms with everything that was left out. Raises CommandMalformed with the `field` it is about."""
    agreed = {**USUAL, **given}
    _check_argv("argv", agreed["argv"])
    if not agreed["argv"] or not package.is_program(agreed["argv"][0]):
        raise _refused("argv", "A command begins with a program below {package}/, /usr or /bin.")
    for name, value in agreed["env"].items():
        if not _VARIABLE.fullmatch(name) or _LOADERS.fullmatch(name):
            raise _refused("env", f"{name} cannot be set for a command.")
        _check_argv("env", [value])
    if any(type(port) is not int or not 0 < port <= _LAST_PORT for port in agreed["ports"]):
        raise _refused("ports", "A port is a number from 1 to 65535.")
    if unknown := set(agreed["without"]) - {layer.value for layer in Layer}:
        raise _refused("without", f"{', '.join(sorted(unknown))} is no part of the sandbox.")
    limits = _limits(agreed["limits"])
    return {
        **agreed,
        "limits": limits,
        "ports": sorted(set(agreed["ports"])),
        "without": sorted(set(agreed["without"])),
    }


def check_arguments(arguments: list[str]) -> None:
    """Check what a system adds to its command. Raises CommandMalformed."""
    _check_argv("args", arguments)


def _limits(given: Mapping[str, Any]) -> dict[str, Any]:
    usual = asdict(Limits())
    if unknown := given.keys() - {field.name for field in fields(Limits)}:
        raise _refused("limits", f"{', '.join(sorted(unknown))} is no limit.")
    for name, value in given.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = is_number and (type(value) is int or name == "grace_seconds")
        least = 0 if name in _MAY_BE_NONE else 0.1
        if not fits or not least <= value <= _MOST[name]:
            raise _refused("limits", f"{name} is a number of at most {_MOST[name]}.")
    return {**usual, **given}


def _check_argv(name: str, parts: list[str]) -> None:
    if len(parts) > MOST_PARTS or any(len(part) > LONGEST_PART or not part.isprintable() for part in parts):
        raise _refused(name, f"It has at most {MOST_PARTS} parts of at most {LONGEST_PART} printable characters.")


def _refused(field: str, sentence: str) -> CommandMalformed:
    return CommandMalformed(sentence, field=field)
