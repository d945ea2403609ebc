"""The calls of this node that wait for an answer of their client, bounded for each caller and for the node."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Final, Protocol
from uuid import UUID

import aiohttp

from entitlements.shares.pool import Pool
from entitlements.stdio import other_nodes

MOST_OF_A_CALLER: Final = 10
MOST_OF_A_NODE: Final = 500

type Key = tuple[str, str | None, str]
"""Agent, person and client."""


class Waiting(Protocol):
    """A call that waits, or has waited and goes on."""

    id: UUID

    @property
    def key(self) -> Key:
        """Whose call it is."""


class WaitingCalls:
    """All that wait at this node, by their own ids."""

    def __init__(self) -> None:
        self._calls: dict[UUID, Waiting] = {}
        self._counts: Counter[Key] = Counter()
        self._places = Pool(MOST_OF_A_NODE)
        """By agent, or by client where that belongs to none."""

    def has_room(self, call: Waiting) -> bool:
        """Whether a call may wait: it does already, or its caller and the node have room for one more."""
        if call.id in self._calls:
            return True
        return self._places.has_room(_caller(call)) and self._counts[call.key] < MOST_OF_A_CALLER

    def add(self, call: Waiting) -> None:
        """Take note of a call until it is over."""
        if call.id not in self._calls:
            self._calls[call.id] = call
            self._counts[call.key] += 1
            self._places.add(_caller(call))

    def remove(self, call: Waiting) -> None:
        """It is over."""
        if self._calls.pop(call.id, None) is not None:
            self._counts[call.key] -= 1
            self._places.remove(_caller(call))
            self._counts += Counter()  # without those that have none

    def get(self, call: UUID) -> Waiting | None:
        """Return a call that waits here."""
        return self._calls.get(call)

    @cached_property
    def pool(self) -> aiohttp.ClientSession:
        """The connections to the other nodes, at which calls wait too."""
        return other_nodes.pool()

    async def close(self) -> None:
        """Close the connections."""
        if "pool" in self.__dict__:
            await self.pool.close()


def _caller(call: Waiting) -> tuple[str, str]:
    agent, _, client = call.key
    return agent, "" if agent else client
