"""All cases, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from .cases import Case
from .families import clients, documents

FAMILIES: Final[dict[str, Callable[[], Iterator[Case]]]] = {
    "documents": documents.cases,
    "clients": clients.cases,
}


def all_cases() -> Iterator[Case]:
    """Yield every case."""
    for family in FAMILIES.values():
        yield from family()
