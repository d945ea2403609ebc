"""The event of a secret that a system answered with. It names the systems, and nothing of the secret."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from audit import draft
from audit.actions import Action
from audit.draft import TextDraft
from entitlements.node.records import CallDetails
from entitlements.secret_scan.marks import SECRET_IN_ANSWER


def event(about: CallDetails, owners: Iterable[str]) -> TextDraft:
    """Say that secrets which open these systems were taken out of the answer to a call: one event a call."""
    opened = sorted(owners)
    detail = draft.canonical({"evaluation": about.evaluation, "system": about.system, "opens": opened})
    linked = replace(about)
    for owner in opened:
        linked.link("system", owner)
    return draft.event(
        linked.shared(None),
        (Action.SECRET_LEAKED, "failure", SECRET_IN_ANSWER),
        detail,
        uuid=draft.following_uuid(about.evaluation, b"leak"),
        trace=about.trace,
        request_id=about.request_id,
        source=about.source,
    )
