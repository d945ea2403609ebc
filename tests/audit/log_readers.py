"""Who reads the audit log: each module that does, and which reader of `test_every_reader_is_total.py` reads by it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = {
    str(file.relative_to(ROOT)): file.read_text()
    for folder in ("audit", "entitlements", "governance")
    for file in (ROOT / folder).rglob("*.py")
    if "migrations" not in file.parts
}
READS: Final = re.compile(
    r"from audit\.models import [^\n]*\b(?:Event|Leaf)\b|\b(?:FROM|JOIN) (?:events|leaves)\b|bodies\.as_jsonb"
    r"|^from audit import [^\n]*\bstream\b|^from audit\.export import",
    re.MULTILINE,
)
MEMBER: Final = re.compile(
    r"""(?:detail|said|now|before|manager)(?:\.\w+)?[\[(]"(\w+)"|'detail' ->>? '(\w+)'|said ->> '(\w+)'"""
)
MEMBERS: Final = sorted({name for text in SOURCES.values() for found in MEMBER.findall(text) for name in found if name})
"""What any reader asks the detail of an event for."""
ENVELOPE: Final = ("actor", "at", "code", "outcome", "reason", "request_id", "session", "source", "trace", "uuid")
LONG: Final = "a" * 1000
KINDS: Final = sorted({kind for text in SOURCES.values() for kind in re.findall(r"""f?"([a-z_]+):(?:\{|")""", text)})
"""The kinds of links that are written anywhere."""
COLUMNS: Final = "reads columns that the database fills, and no body"
WRITES: Final = "writes the log"
READ_BY: Final = {
    "audit/export/jsonl.py": "exports",
    "audit/export/timeline.py": "timelines",
    "audit/log.py": WRITES,
    "audit/management/commands/record_export.py": "exports",
    "audit/management/commands/verify_record.py": "exports",
    "audit/personal_data.py": "exports",
    "audit/producers.py": COLUMNS,
    "audit/refusals/refusals.py": WRITES,
    "audit/seals/proofs.py": COLUMNS,
    "audit/seals/seal_check.py": "hashes bodies, and parses none",
    "audit/seals/seals.py": "hashes bodies, and parses none",
    "audit/stream.py": "sealed log",
    "entitlements/access/role_reach.py": COLUMNS,
    "entitlements/access/visibility.py": COLUMNS,
    "entitlements/api/record.py": "API",
    "entitlements/catalog/move.py": "second persons",
    "entitlements/catalog/systems.py": "second persons",
    "entitlements/clients/rotations.py": COLUMNS,
    "entitlements/conflicts/independence.py": "second persons",
    "entitlements/decisions/guardrails.py": "second persons",
    "entitlements/drift/detect.py": "sealed log",
    "entitlements/drift/findings.py": "drift",
    "entitlements/drift/history.py": "sealed log",
    "entitlements/drift/replay.py": "drift over days",
    "entitlements/event_streams/transmit.py": "security event streams",
    "entitlements/revocation/effects.py": COLUMNS,
    "entitlements/revocation/revocation.py": COLUMNS,
    "governance/audit_log/pages/event_list.py": "audit log",
    "governance/audit_log/pages/explorer.py": "audit log",
    "governance/audit_log/pages/restored.py": "timelines",
    "governance/audit_log/queries/events.py": "audit log",
    "governance/audit_log/queries/filters.py": "filters",
    "governance/audit_log/queries/trace.py": "timelines",
    "governance/connect/queries.py": COLUMNS,
    "governance/decisions/causes.py": "decisions",
    "governance/decisions/history.py": "past",
    "governance/decisions/pages/questions.py": "decision pages",
    "governance/decisions/queries/readable.py": "decisions",
    "governance/decisions/queries/why.py": "decision pages",
    "governance/decoys/follow.py": "decoys",
    "governance/eligibility/eligibility.py": "denied calls",
    "governance/guardrails/observed.py": "sealed log",
    **dict.fromkeys(
        (
            f"governance/notices/{name}.py"
            for name in (
                "alarms",
                "audience",
                "for_review_owners",
                "for_reviewers",
                "inquiries",
                "notifiers",
                "stewards",
            )
        ),
        "notices",
    ),
    "governance/notices/listener.py": "sealed log",
    "governance/operations/invariants.py": "numbers",
    "governance/operations/metrics.py": "numbers",
    "governance/operations/record_invariants.py": "numbers",
    "governance/operations/outages.py": COLUMNS,
    "governance/posture_report/snapshots.py": COLUMNS,
    "governance/proposals/facts.py": "notices",
    "governance/requests/denied_calls.py": "denied calls",
    "governance/requests/queries.py": COLUMNS,
    "governance/reviews/deadlines/deadlines.py": COLUMNS,
    "governance/reviews/event_triggered/pages.py": COLUMNS,
    "governance/reviews/event_triggered/triggers.py": "event-triggered reviews",
    "governance/reviews/evidence/record.py": "evidence",
    "governance/reviews/items/pages.py": "reviews",
    "governance/reviews/pack/build.py": "keeps bodies as they are",
    "governance/reviews/pack/description.py": "evidence",
    "governance/reviews/pack/reperformance.py": "past",
    "governance/reviews/pack_tables/past_grants.py": "past",
    "governance/reviews/pack_tables/past_things.py": "past",
    "governance/reviews/pack_tables/period.py": "evidence",
    "governance/reviews/pack_tables/tables.py": "evidence",
    "governance/reviews/usage/replay.py": "replay",
    "governance/reviews/usage/usage.py": "sealed log",
    "governance/reviews/workbench/queries/item.py": "reviews",
    "governance/risk/detectors.py": "risk",
    "governance/search/queries/search.py": "shows an event's action and actor",
    "governance/setup/milestones.py": "set-up",
    "governance/setup/trials.py": COLUMNS,
    "governance/token_health/queries/tokens.py": COLUMNS,
    "governance/webhooks/webhooks.py": "webhooks",
    "governance/what_if/past_sessions.py": "replay",
    "governance/what_if/recorded_calls.py": "replay",
}
