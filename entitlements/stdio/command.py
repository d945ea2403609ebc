"""A command as two people agreed on it, and the plan by which one child of it is started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from entitlements.stdio import package
from entitlements.stdio.sandbox import confine
from entitlements.stdio.sandbox.plan import Layer, Level, Limits, Plan


class SandboxMissing(Exception):
    """The machine does not hold a child as it has to be held, and that was not accepted."""


@dataclass(frozen=True, slots=True)
class Command:
    """What is started for a system: the terms of its command, and the arguments of the system's own."""

    name: str
    folder: str
    argv: tuple[str, ...]
    digest: str
    env: tuple[tuple[str, str], ...] = ()
    ports: tuple[int, ...] = ()
    is_shared: bool = False
    """One child for all callers of the system, instead of one for each agent and person."""
    without: frozenset[Layer] = frozenset()
    """The layers without which it may run where they do not work, as two administrators accepted."""
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of_terms(
        cls, name: str, terms: Mapping[str, Any], arguments: list[str], *, is_shared: bool | None = None
    ) -> Self:
        """Return the command of stored terms, with a system's arguments behind it and, where it says so, no sharing."""
        return cls(
            name=name,
            folder=terms["folder"],
            argv=(*terms["argv"], *arguments),
            digest=terms["digest"],
            env=tuple(sorted(terms["env"].items())),
            ports=tuple(terms["ports"]),
            is_shared=terms["shared"] and is_shared is not False,
            without=frozenset(map(Layer, terms["without"])),
            limits=Limits(**terms["limits"]),
        )

    def plan(self, *, scratch: str, uid: int | None, level: Level = Level.FLOOR) -> Plan:
        """Return the plan of one child, held by all that works here. Raises SandboxMissing, PackageRefused.

        `level`: how far it is held beside the floor.

        Reads every file of the package: not to be called in an event loop.
        """
        lacking = confine.missing(is_root=uid is not None, has_network=bool(self.ports))
        if unaccepted := lacking - self.without:
            raise SandboxMissing(f"This machine does not hold: {', '.join(sorted(unaccepted))}.")
        package.check(self.folder, self.digest)
        return Plan(
            argv=tuple(package.filled(part, self.folder) for part in self.argv),
            scratch=scratch,
            env={name: package.filled(value, self.folder) for name, value in self.env},
            readable=(self.folder,),
            ports=self.ports,
            uid=uid,
            limits=self.limits,
            without=lacking,
            level=level,
        )
