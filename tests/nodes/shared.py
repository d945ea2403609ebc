"""One node for all tests of a folder that need no other: it runs from the first that asks until one wants to be alone.

What a test does is put back by making a world of its own, under names that no other test has. The database is emptied
when the folder ends, and the node ends with it: of rows that go without a change a node would not hear.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.nodes.gateway.world import Gateway


class SharedNode:
    """A node that may be stopped and started again."""

    def __init__(
        self, start: Callable[[], AbstractContextManager[Gateway]], answers: Callable[[Gateway], bool]
    ) -> None:
        self._start, self._answers = start, answers
        self._stack = ExitStack()
        self._running: Gateway | None = None

    def node(self) -> Gateway:
        """Return the running node, a new one where there is none that answers."""
        if self.is_lost():
            self.stop()
        if self._running is None:
            self._running = self._stack.enter_context(self._start())
        return self._running

    @property
    def is_running(self) -> bool:
        """Whether it was started and not ended since, as far as this process knows."""
        return self._running is not None

    def is_lost(self) -> bool:
        """Return whether a node that ran has ended, or does not answer."""
        return self._running is not None and not self._answers(self._running)

    def stop(self) -> None:
        """End it, if it runs."""
        self._running = None
        self._stack.close()
