"""What a node counts, for the metrics of its host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entitlements.node_feed.host_messages import Numbers

if TYPE_CHECKING:
    from entitlements.node.node import Node


def count(node: Node) -> Numbers:
    """Return what a node has counted until now."""
    return Numbers(
        node.name,
        [(effect, code, number) for (effect, code), number in node.decisions.items()],
        node.feed.held_since,
        node.feed.position,
        node.feed.is_listening,
        len(node.snapshots),
        len(node.opened.of(None)),
        node.recorder.lost,
        node.isolation.waiting(),
        [(system, code, number) for (system, code), number in node.isolation.refused.items()],
    )
