"""Inclusion and consistency proofs over the stored tree, from a handful of reads whatever its size."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import batched
from uuid import UUID

from audit import chain
from audit.models import Checkpoint, Leaf, Node

_TILE = 1 << chain.STRIDE


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Shows that an event is leaf `index` of the tree that `note` signs."""

    index: int
    leaf: bytes
    path: list[bytes]
    note: str


class NoSuchProof(LookupError):
    """The event is not sealed, or there is no checkpoint of that size."""

    code = "proof_not_available"


def inclusion(producer: UUID, sequence: int, size: int | None = None) -> Inclusion:
    """Prove an event's place in the newest checkpoint, or in that of `size` events. Raises NoSuchProof."""
    leaf = Leaf.objects.filter(producer=producer, sequence=sequence).first()
    head = _checkpoint(size)
    if leaf is None or leaf.index >= head.size:
        raise NoSuchProof
    path = chain.inclusion_proof(leaf.index, head.size, _Tree(head.size).root)
    return Inclusion(leaf.index, bytes(leaf.hash), path, head.note)


def inclusions(places: Iterable[tuple[UUID, int]], size: int | None = None) -> Iterator[Inclusion]:
    """Prove many events' places in the newest checkpoint, or in that of `size` events; shared reads are made once.

    Raises NoSuchProof.
    """
    head = _checkpoint(size)
    tree = _Tree(head.size)
    for batch in batched(places, 1000):
        leaves = {
            (leaf.producer, leaf.sequence): leaf
            for leaf in Leaf.objects.filter(
                producer__in={producer for producer, _ in batch}, sequence__in={sequence for _, sequence in batch}
            )
        }
        for place in batch:
            leaf = leaves.get(place)
            if leaf is None or leaf.index >= head.size:
                raise NoSuchProof
            path = chain.inclusion_proof(leaf.index, head.size, tree.root)
            yield Inclusion(leaf.index, bytes(leaf.hash), path, head.note)


def consistency(old: int, size: int | None = None) -> list[bytes]:
    """Prove that the tree of `old` events is a beginning of a later checkpoint's. Raises NoSuchProof."""
    head = _checkpoint(size)
    if not 0 < old <= head.size:
        raise NoSuchProof
    return chain.consistency_proof(old, head.size, _Tree(head.size).root)


def root(size: int) -> bytes:
    """Return the root over the first `size` leaves, from the stored tree."""
    return _Tree(size).root(0, size)


def _checkpoint(size: int | None) -> Checkpoint:
    heads = Checkpoint.objects.order_by("-size")
    head = (heads if size is None else heads.filter(size=size)).first()
    if head is None:
        raise NoSuchProof
    return head


class _Tree:
    """The stored tree, read in tiles of 256 hashes, each at most once."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.tiles: dict[tuple[int, int], list[bytes]] = {}

    def root(self, begin: int, end: int) -> bytes:
        """The root over the leaves begin..end-1, a subtree of the tree."""
        height = (end - begin - 1).bit_length()
        if end - begin != 1 << height:
            middle = begin + (1 << (height - 1))
            return chain.node_hash(self.root(begin, middle), self.root(middle, end))
        level = height - height % chain.STRIDE
        first, last = begin >> level, end >> level
        tile = self._tile(level, first // _TILE)
        return chain.root_of(tile[first % _TILE : first % _TILE + last - first])

    def _tile(self, level: int, number: int) -> list[bytes]:
        if (level, number) not in self.tiles:
            first, last = number * _TILE, min((number + 1) * _TILE, self.size >> level)
            if level == 0:
                leaves = Leaf.objects.filter(index__gte=first, index__lt=last).order_by("index")
                tile = [bytes(leaf.hash) for leaf in leaves]
            else:
                nodes = Node.objects.filter(level=level, position__gte=first, position__lt=last).order_by("position")
                tile = [bytes(node.hash) for node in nodes]
            self.tiles[level, number] = tile
        return self.tiles[level, number]
