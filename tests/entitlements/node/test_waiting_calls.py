"""Who may have calls that wait for their client at a node."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest

from entitlements.node.shared import waiting_calls
from entitlements.node.shared.waiting_calls import Key, WaitingCalls


@dataclass
class Waiting:
    key: Key
    id: UUID = field(default_factory=uuid4)


def test_one_agent_for_many_people_leaves_room_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_calls, "MOST_OF_A_NODE", 8)
    calls = WaitingCalls()
    of_one = [Waiting(("greedy", f"person-{number}", "app")) for number in range(5)]
    for call in of_one[:4]:
        assert calls.has_room(call)
        calls.add(call)
    assert not calls.has_room(of_one[4])
    assert calls.has_room(Waiting(("other", "ada", "app")))
    calls.remove(of_one[0])
    assert calls.has_room(of_one[4])
