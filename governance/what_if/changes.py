"""The changes that can be replayed: each kind is one class in `KINDS`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from entitlements.access.caller import Caller
from governance.what_if.change import Change, ChangeMalformed
from governance.what_if.grant_changes import GrantChange, LimitsChange
from governance.what_if.rule_changes import GuardrailChange, SessionPolicyChange

KINDS: Final[Mapping[str, type[Change]]] = {
    kind.kind: kind for kind in (GrantChange, LimitsChange, GuardrailChange, SessionPolicyChange)
}
"""Every kind of change."""


def read(body: object, caller: Caller | None = None) -> Change:
    """Read a change. Raises ChangeMalformed, NotFound, and what its kind raises."""
    if not isinstance(body, Mapping) or not isinstance(kind := body.get("kind"), str) or kind not in KINDS:
        raise ChangeMalformed(kinds=sorted(KINDS))
    return KINDS[kind].read(body, caller)
