"""Who may open which page here: rows of the console's matrix (`governance/console/matrix.py`)."""

from __future__ import annotations

from typing import Final

from governance.console.matrix_rows import Pages, both, like

ROWS: Final[Pages] = {
    ("event-streams-page", "GET"): like(
        "event-streams GET",
        also=("event-receivers", "event-receiver-end", "signal-polls", "signal-poll-end"),
    ),
    **both(like("event-receivers"), "event-receiver-add"),
    ("event-receiver-decide", "POST"): like("event-receiver-end"),
    ("event-stream-page", "GET"): like("event-stream GET", also=("event-stream-status", "event-stream-delete")),
    ("event-stream-page", "POST"): like("event-stream-status", "event-stream-delete"),
    **both(like("signal-polls"), "signal-poll-add"),
    ("signal-poll-decide", "POST"): like("signal-poll-end"),
}
