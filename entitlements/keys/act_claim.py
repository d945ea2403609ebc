"""The claim `act` of our tokens (RFC 8693 section 4.1, Actor Profile -00): who acts, and for whom in turn.

The outermost is the agent that acts now, by its slug; each one inside it delegated to the one outside it, and names the
client through which it acted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from entitlements.words import LONGEST_CLIENT_ID

from . import jws

AI_AGENT: Final = "ai_agent"
_DEEPEST: Final = 32
"""More than any rule allows; what is deeper is not read."""


@dataclass(frozen=True, slots=True)
class Acting:
    """The agent that acts, and those behind it, nearest first, each with its client (`snapshot.Chain`)."""

    agent: str
    behind: tuple[tuple[str, str], ...] = ()


def claim(agent: str, behind: Sequence[tuple[str, str]], issuer: str) -> dict[str, Any]:
    """Return the claim for an agent and those behind it, nearest first; `issuer` is whose names they are."""
    nested: dict[str, Any] | None = None
    for name, client in reversed(behind):
        inner = {} if nested is None else {"act": nested}
        nested = {"sub": name, "iss": issuer, "sub_profile": AI_AGENT, "client_id": client, **inner}
    return {"sub": agent, "iss": issuer, "sub_profile": AI_AGENT, **({} if nested is None else {"act": nested})}


def read(claims: Mapping[str, Any]) -> Acting | None:
    """Read the claim of a token of ours whose signature was checked; None where there is none. Raises BadToken."""
    act, behind = claims.get("act"), list[tuple[str, str]]()
    if act is None:
        return None
    if not isinstance(act, Mapping):
        raise jws.BadToken
    agent, inner = jws.text(act, "sub"), act.get("act")
    while inner is not None:
        if not isinstance(inner, Mapping) or len(behind) == _DEEPEST:
            raise jws.BadToken
        behind.append((jws.text(inner, "sub"), jws.text(inner, "client_id", longest=LONGEST_CLIENT_ID)))
        inner = inner.get("act")
    return Acting(agent, tuple(behind))
