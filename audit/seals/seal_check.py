"""A check of the newest checkpoint where it stands: its signature, its tree, the one before it, the newest events.

It reads little whatever the size of the log. All events are checked offline by `audit/verify.py`.
"""

import base64
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

from django.conf import settings

from audit import chain, clock
from audit.models import AnchorState, Checkpoint, Event, Leaf
from audit.seals import proofs
from audit.verify import Key, UnusableError, parse_key

NEWEST: Final = 500
"""How many of the newest sealed events are hashed again."""


@dataclass(frozen=True, slots=True)
class SealCheck:
    """What was checked, and what came of it. None stands for what could not be checked here."""

    size: int
    root: str
    signed_at: datetime
    signers: tuple[str, ...]
    signature: bool | None
    """False for a false signature; None where this process has no verifier key."""
    tree: bool
    before: int | None
    """How many events the checkpoint before it covers."""
    continues: bool | None
    events: int
    altered: int | None
    """The place of the newest event that is not what was sealed; None where all are."""
    anchors: tuple[str, ...]
    took_ms: int

    @property
    def holds(self) -> bool:
        """Whether nothing that was checked is false."""
        return self.tree and self.altered is None and False not in (self.signature, self.continues)


def check() -> SealCheck | None:
    """Check the newest checkpoint; None before the first."""
    began = clock.now()
    heads = list(Checkpoint.objects.order_by("-size")[:2])
    if not heads or not heads[0].size:
        return None
    head, root = heads[0], bytes(heads[0].root)
    before = heads[1] if heads[1:] and heads[1].size else None
    first = max(0, head.size - NEWEST)
    return SealCheck(
        size=head.size,
        root=base64.b64encode(root).decode(),
        signed_at=head.signed_at,
        signers=_signers(head.note),
        signature=_is_signed(head.note),
        tree=proofs.root(head.size) == root,
        before=before.size if before else None,
        continues=_continues(before, head) if before else None,
        events=head.size - first,
        altered=_altered(first, head),
        anchors=tuple(AnchorState.objects.filter(problem="").order_by("name").values_list("name", flat=True)),
        took_ms=round((clock.now() - began).total_seconds() * 1000),
    )


def _signers(note: str) -> tuple[str, ...]:
    lines = note.rpartition("\n\n")[2].splitlines()
    return tuple(line.split(" ")[1] for line in lines if line.startswith("\u2014 ") and line.count(" ") > 1)


def public_key() -> Key | None:
    """Return the public key of the sealer where its file lies beside this process; None elsewhere."""
    if not settings.SEAL_KEY_FILE:
        return None
    try:
        return parse_key(Path(settings.SEAL_KEY_FILE).with_suffix(".vkey").read_text(encoding="utf-8"))
    except (OSError, UnusableError):
        return None


def _is_signed(note: str) -> bool | None:
    key = public_key()
    if key is None:
        return None
    try:
        chain.open_note(note, key.name, key.public)
    except chain.BadNote:
        return False
    return True


def _continues(before: Checkpoint, head: Checkpoint) -> bool:
    """Whether the events of the checkpoint before are the beginning of this one's (RFC 9162, 2.1.4.2)."""
    path = proofs.consistency(before.size, head.size)
    return chain.verify_consistency(before.size, head.size, bytes(before.root), bytes(head.root), path)


def _altered(first: int, head: Checkpoint) -> int | None:
    """Hash the newest events again; return the place of the newest that is missing, or has another hash or place."""
    leaves = list(Leaf.objects.filter(index__gte=first, index__lt=head.size).order_by("index"))
    if [leaf.index for leaf in leaves] != list(range(first, head.size)):
        gaps = (left.index for left, right in pairwise(leaves) if right.index != left.index + 1)
        return next((gap + 1 for gap in gaps), head.size - 1)
    times = [leaf.at for leaf in leaves]
    rows = Event.objects.filter(at__gte=min(times), at__lte=max(times), uuid__in=[leaf.uuid for leaf in leaves])
    bodies = dict(rows.values_list("uuid", "body"))
    places = [(leaf.producer, leaf.sequence) for leaf in leaves]
    for leaf, proof in reversed(list(zip(leaves, proofs.inclusions(places, head.size), strict=True))):
        computed = chain.leaf_hash(bodies.get(leaf.uuid, "").encode())
        in_tree = chain.verify_inclusion(computed, proof.index, head.size, proof.path, bytes(head.root))
        if computed != bytes(leaf.hash) or not in_tree:
            return leaf.index
    return None
