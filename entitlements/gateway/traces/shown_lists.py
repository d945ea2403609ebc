"""That a caller was shown its tools: an event when the list differs from the last one, else one a minute at most."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from audit import draft
from audit.actions import Action
from entitlements.node.records import CallDetails, Recorder

SECONDS: Final = 60.0
"""For how long a list that is shown again is no event of its own."""
MOST_KEPT: Final = 20_000


class ShownLists:
    """Which sessions were shown the tools of which system of late, by this node."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, str], tuple[float, int]] = {}

    def note(self, recorder: Recorder, about: CallDetails, names: Iterable[str]) -> None:
        """Let the event follow where the session was not shown these names of late. No caller waits for it."""
        key, now = (about.bearer.session or about.bearer.token.jti, about.system), time.monotonic()
        shown = tuple(names)
        last, known = self._shown.pop(key, (-SECONDS, 0))
        if is_due := known != hash(shown) or now - last >= SECONDS:
            detail = draft.canonical({"tools": len(shown)})
            recorder.eventually(
                draft.event(
                    about.shared(None),
                    (Action.TOOL_LIST_SHOWN, "success", ""),
                    detail,
                    uuid=draft.new_uuid(),
                    trace=about.trace,
                    request_id=about.request_id,
                    source=about.source,
                )
            )
        self._shown[key] = (now if is_due else last, hash(shown))
        while len(self._shown) > MOST_KEPT:
            del self._shown[next(iter(self._shown))]


SHOWN: Final = ShownLists()
"""Those of this process."""
