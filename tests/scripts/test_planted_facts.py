"""Every fact that the demo's company was planted with is brought up where a person would look for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scripts import planted


def test_fill(transactional_db: None, tmp_path: Path, monkeypatch) -> None:
    import time
    a=time.time()
    planted.fill(planted.archive(tmp_path))
    print("took", time.time()-a)
    from audit.models import Event
    print(Event.objects.count())
    from governance.models import ReviewItem
    for i in ReviewItem.objects.filter(campaign__slug="q4-access").order_by("number").select_related("suggestion"):
        live=[a.reviewer and a.reviewer.login for a in i.assignments.filter(state="assigned")]
        print(i.number,i.agent.slug,i.system.slug,i.subjects,i.risk,i.state,live,i.suggestion.verdict,i.suggestion.score,[r["signal"] for r in i.suggestion.reasons], [l.calls_window for l in i.lines.all()])
    from governance import invariants
    for f in invariants.check():
        if f.count: print(f.invariant.id, f.invariant.sentence, f.count, f.violations)
