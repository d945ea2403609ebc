"""How an item is judged: signals weighed by one table. The same frozen facts always give the same verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from governance.reviews.suggestions.models import Suggestion

VERSION: Final = "reco@1.2.0"
WEIGHTS: Final[Mapping[str, int]] = {
    "U1": 3,  # a line was not called in the whole window; counts for each line
    "U2": 6,  # no line of the item was called
    "U3": 0,  # more than five calls were denied for want of a grant
    "D1": 4,  # no token was requested in 45 days
    "O1": 5,  # the sponsor has left
    "F1": 0,  # a tool's definition changed since it was approved
    "F1+": 4,  # ... and accepts more than the approved one
    "F2": 0,  # the agent's version changed since the last decision
    "C1": 4,  # the agent violates an SoD policy
    "R1": 2,  # a tool can delete or execute
    "P1-": -3,  # most of its peers hold all of it
    "P1+": 2,  # few of its peers hold some of it
    "K1": 1,  # a shared secret is older than a year
    "N1": 0,  # new since the last review
    "A1": 1,  # no person ever approved it
    "B1": 0,  # the blast radius is large, or much larger than at the last review
    "S1": 0,  # a reviewer marked it as seasonal within a year: no use is no signal then
    "H1": -1,  # a person kept it with a reason within a year
}
"""The weight of each signal: towards removal, or with a minus towards keeping (design 5, 3.8)."""
LOOK: Final = frozenset({"U3", "O1", "F1", "F2", "C1", "N1", "A1", "B1"})
"""Signals that call for a closer look in any case."""
TO_REMOVE: Final = 6
FEW_DENIED: Final = 5
FAR, FARTHER = 70, 15
"""From which blast radius on, and from which growth of it, an agent is looked at."""
PEERS: Final = 5
"""Fewer peers do not show what is usual."""
_MOST, _FEWEST = 70, 30


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with what led to it; `kept` are the lines that a reduction keeps."""

    verdict: Suggestion.Verdict
    score: int
    reasons: tuple[dict[str, Any], ...]
    kept: tuple[int, ...] = ()


def judge(inputs: Mapping[str, Any]) -> Judgement:
    """Weigh the frozen inputs of one item. Pure: the same inputs always give the same judgement."""
    lines = inputs["lines"]
    known = bool(lines) and all(line["full"] for line in lines)
    used = [line["line"] for line in lines if line["calls"]]
    unused = [line for line in lines if line["full"] and not line["calls"] and not inputs["seasonal"]]
    reasons = tuple(
        {"signal": signal, "weight": WEIGHTS[signal] * count, **({"n": count} if signal == "U1" else {}), **more}
        for signal, count, more in _signals(inputs, known=known, unused=len(unused))
    )
    score = sum(reason["weight"] for reason in reasons)
    verdict = Suggestion.Verdict
    if known and used and unused and inputs.get("parts", True):  # inputs from before 1.2.0 lack "parts"
        return Judgement(verdict.REDUCE, score, reasons, tuple(used))
    if score >= TO_REMOVE and not inputs["seasonal"] and not any(line["calls"] for line in lines):
        return Judgement(verdict.REVOKE, score, reasons)
    if any(reason["signal"] in LOOK for reason in reasons) or score >= TO_REMOVE:
        return Judgement(verdict.LOOK, score, reasons)
    if not known:
        return Judgement(verdict.UNKNOWN, score, reasons)
    return Judgement(verdict.KEEP if score <= 0 else verdict.LOOK, score, reasons)


def _signals(inputs: Mapping[str, Any], *, known: bool, unused: int) -> list[tuple[str, int, dict[str, Any]]]:
    """Return the signals of an item, how often each counts, and its details."""
    lines, peers = inputs["lines"], inputs["peers"]
    nothing = known and unused == len(lines)
    reach, before = inputs["blast"], inputs["blast_before"]
    far = reach >= FAR or (before is not None and reach - before >= FARTHER)
    compared = peers["count"] >= PEERS
    usual, rare = compared and peers["least"] >= _MOST, compared and peers["least"] < _FEWEST
    changed = {"names": sorted(line["tool"] for line in lines if line["changed"])}
    wider = {"names": sorted(line["tool"] for line in lines if line["wider"])}
    signals: list[tuple[str, bool, int, dict[str, Any]]] = [
        ("U1", bool(unused), unused, {}),
        ("U2", nothing, 1, {}),
        ("U3", inputs["denied"] > FEW_DENIED, 1, {"times": inputs["denied"]}),
        ("D1", inputs["idle"], 1, {}),
        ("O1", not inputs["sponsor_active"], 1, {}),
        ("F1", bool(changed["names"]), 1, changed),
        ("F1+", bool(wider["names"]), 1, wider),
        ("F2", inputs["runs_another"], 1, {}),
        ("C1", bool(inputs["combinations"]), 1, {"names": inputs["combinations"]}),
        ("R1", any(line["action"] in ("delete", "execute") for line in lines), 1, {}),
        ("P1-", usual, 1, peers),
        ("P1+", rare, 1, peers),
        ("K1", inputs["old_secret"], 1, {}),
        ("N1", inputs["new"], 1, {}),
        ("A1", inputs["by_rule"], 1, {}),
        ("B1", far, 1, {"now": reach, "before": before}),
        ("S1", inputs["seasonal"], 1, {}),
        ("H1", inputs["kept_before"], 1, {}),
    ]
    return [(signal, count, detail) for signal, is_shown, count, detail in signals if is_shown]
