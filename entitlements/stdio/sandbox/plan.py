"""What a child may do: its command, its folders, its limits. The keeper reads it as JSON, and holds the child to it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Self

MIB = 1024 * 1024
SYSTEM_FOLDERS = (
    "/usr",
    "/bin",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/mime.types",
)
"""What programs read to run at all: their libraries, the time zone, TLS. Nothing of the gateway's."""
NETWORK_FILES = ("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services")
PATH = "/usr/local/bin:/usr/bin:/bin"


class Layer(StrEnum):
    """One thing that holds a child. A plan names those that are left out, which two administrators accepted."""

    FILES = "files"  # Landlock: reads what is listed, writes its scratch folder
    SIGNALS = "signals"  # Landlock: signals to its own processes alone
    PORTS = "ports"  # Landlock: connections to the listed TCP ports alone
    CALLS = "calls"  # seccomp: the calls alone that programs need to compute, to use files and, with ports, to connect
    PRIVILEGES = "privileges"  # no_new_privs: nothing that it starts has more rights
    LIMITS = "limits"  # rlimits: processes, memory, open files, processor time, length of a file
    WATCH = "watch"  # the keeper: memory and scratch of all its processes together


class Level(StrEnum):
    """How far a child is held: what a node says of itself, and what is kept of each child's start."""

    REDUCED = "reduced"  # a layer of the floor is missing, as two administrators accepted
    FLOOR = "floor"  # every layer of the kernel's
    BUBBLEWRAP = "bubblewrap"  # namespaces of its own above them


@dataclass(frozen=True)
class Limits:
    """How much a child may use. Sizes in bytes, times in seconds."""

    processes: int = 32
    memory: int = 512 * MIB
    """Of all its processes together, as the keeper counts what is resident."""
    address_space: int = 2048 * MIB
    """Of one process. 0: no limit, for run times that reserve far more than they use, as Node.js does."""
    open_files: int = 256
    cpu_seconds: int = 3600
    """Of one process, in all its life."""
    file_bytes: int = 64 * MIB
    scratch_bytes: int = 256 * MIB
    grace_seconds: float = 2.0
    """From the end of its standard input and SIGTERM to SIGKILL."""


@dataclass(frozen=True)
class Plan:
    """One child. `uid`: the user that it runs as; None: the user of the gateway (which then is not root)."""

    argv: tuple[str, ...]
    scratch: str
    env: dict[str, str] = field(default_factory=dict)
    readable: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    """TCP ports that it may connect to. None of them: no socket at all."""
    uid: int | None = None
    limits: Limits = field(default_factory=Limits)
    without: frozenset[Layer] = frozenset()
    level: Level = Level.FLOOR
    """Whether it is started in namespaces of its own. What is left out is said by `without`."""

    @property
    def held(self) -> Level:
        """Return how far it is held, all together."""
        return Level.REDUCED if self.without else self.level

    @property
    def environment(self) -> dict[str, str]:
        """Return its whole environment: nothing of the gateway's own, and what the plan names."""
        usual = {"PATH": PATH, "HOME": self.scratch, "TMPDIR": self.scratch, "LANG": "C.UTF-8"}
        if self.ports:
            usual["RES_OPTIONS"] = "use-vc"  # names are asked for over TCP, which the ports hold
        return usual | self.env

    @property
    def read_only(self) -> tuple[str, ...]:
        """Return every path that it may read and run programs from."""
        return SYSTEM_FOLDERS + (NETWORK_FILES if self.ports else ()) + self.readable

    def has(self, layer: Layer) -> bool:
        """Whether this layer holds the child."""
        return layer not in self.without

    def to_json(self) -> str:
        """Return what `from_json` reads."""
        return json.dumps(asdict(self) | {"without": sorted(self.without)})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the plan. Raises ValueError, TypeError or KeyError for what `to_json` did not write."""
        found = json.loads(text)
        return cls(
            argv=tuple(found["argv"]),
            scratch=found["scratch"],
            env=found["env"],
            readable=tuple(found["readable"]),
            ports=tuple(found["ports"]),
            uid=found["uid"],
            limits=Limits(**found["limits"]),
            without=frozenset(map(Layer, found["without"])),
            level=Level(found["level"]),
        )

    def problem(self) -> str:
        """Return why no child can be started by this plan, or nothing."""
        if not self.argv or not Path(self.argv[0]).is_absolute():
            return "the command is not an absolute path"
        if not Path(self.scratch).is_absolute():
            return "the scratch folder is not an absolute path"
        return "root is no user for a child" if self.uid == 0 else ""
