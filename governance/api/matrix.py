"""Who may come in at the addresses of floor 3. Who may answer a request is no role: the verbs look at the request."""

from __future__ import annotations

from typing import Final

from entitlements.api.matrix import READABLE, Matrix, Row

REQUEST: Final = "mandate:request"
"""The scope with which an agent asks for itself, and withdraws or narrows what it asked; it gives no other right."""

_ASK: Final = Row(anybody=True, scope=REQUEST)
_ANSWER: Final = Row(anybody=True)
"""People at first hand only: no token of a script or an agent carries a scope that answers."""

MATRIX: Final[Matrix] = {
    ("requests", "GET"): READABLE,
    ("requests", "POST"): _ASK,
    ("request", "GET"): READABLE,
    ("request-narrow", "POST"): _ASK,
    ("request-cancel", "POST"): _ASK,
    ("request-approve", "POST"): _ANSWER,
    ("request-deny", "POST"): _ANSWER,
}
