"""The keys of an issuer of ours as a gateway knows them: those that sign, those that signed, and those that will."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from audit import clock

from . import jws, public_keys

KEYS: Final = """
SELECT kid, public, extract(epoch FROM retires_at)::float8, state = 'next' FROM entitlements_signingkey
WHERE issuer = %s AND state IN ('active', 'retired', 'next')
"""


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """A key of an issuer. One that is `is_next` is published, and signs nothing yet as far as is known here."""

    key: jws.Key
    retires: float | None
    is_next: bool

    @property
    def counts(self) -> bool:
        """Whether tokens that it signed are taken now."""
        return not self.is_next and (self.retires is None or clock.now().timestamp() < self.retires)


def read(rows: Iterable[tuple[Any, ...]]) -> Mapping[str, IssuerKey]:
    """Read the rows of KEYS, by kid."""
    return {kid: IssuerKey(public_keys.read(public), retires, is_next) for kid, public, retires, is_next in rows}
