"""A proof is used once: its name is claimed with the event of what it proves, or by itself where there is none."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from .proofs import Proof

MARGIN: Final = timedelta(minutes=2)
"""How much longer than a proof its name is kept: more than any difference of two clocks."""
WITH_EVENTS: Final = """
INSERT INTO entitlements_usedassertion (issuer, jti, expires_at)
SELECT name.of, name.name, name.until
FROM json_to_recordset(%(names)s) AS name (of text, name text, until timestamptz) ORDER BY 1, 2
ON CONFLICT DO NOTHING RETURNING issuer AS of, jti AS name
"""
"""What `audit.batch.Writer` takes: in one order, so that two nodes do not wait for each other."""
ALONE: Final = """
INSERT INTO entitlements_usedassertion (issuer, jti, expires_at) VALUES (%s, %s, %s)
ON CONFLICT DO NOTHING RETURNING 1
"""


def name_of(proof: Proof) -> str:
    """Return under whose name a proof is claimed: its key's, as `issue_token_v3` has it too."""
    return f"dpop:{proof.thumbprint}"


def kept_until(proof: Proof) -> datetime:
    """Return until when the name of a proof must be known."""
    return proof.until + MARGIN
