"""Who may open which page here: rows of the console's matrix (`governance/console/matrix.py`)."""

from __future__ import annotations

from typing import Final

from governance.console.matrix_rows import Pages, both, like

ROWS: Final[Pages] = {
    ("risk-signals", "GET"): like("risk GET", also=("signal-responses GET",)),
    ("risk-signal-page", "GET"): like("risk-signal GET", also=("risk-confirm", "risk-confirm-safe", "risk-dismiss")),
    ("risk-signal-page", "POST"): like("risk-confirm", "risk-confirm-safe", "risk-dismiss"),
    ("signal-responses-page", "GET"): like(
        "signal-responses GET", also=("signal-responses", "signal-response-confirm", "signal-response-withdraw")
    ),
    **both(like("signal-responses"), "signal-response-propose"),
    ("drift-detectors-page", "GET"): like("drift-detectors GET", also=("signal-responses",)),
    ("drift-detector-page", "GET"): like("drift-detector GET", also=("signal-responses",)),
    ("signal-response-decide", "POST"): like("signal-response-confirm", "signal-response-withdraw"),
}
