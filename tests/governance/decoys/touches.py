"""What an agent does that touches a decoy."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from audit import log
from audit.actions import Action
from audit.models import Event
from entitlements.decoys.models import Decoy
from governance.decoys import follow


def touch(decoy: Decoy, agent: Any = None) -> Event:  # noqa: ANN401 - an agent
    """Let an agent call it, as the gateway records that, and follow the touch."""
    said = {"door": "gateway", "method": "tools/call", "tool": decoy.name, "effect": "deny", "answered": "tool_error"}
    by = (agent or decoy.agents.get()).principal
    with transaction.atomic():
        event = log.record(
            Action.DECOY_TOUCHED,
            by=by,
            about=[f"decoy:{decoy.pk}", f"system:{decoy.system.slug}"],
            outcome="failure",
            code="unknown_tool",
            detail={**said, "reasons": ["unknown_tool: It is a decoy."]},
        )
    assert follow.follow_touches() == 1
    return event
