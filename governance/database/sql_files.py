"""Functions, triggers and views of the database: their current text, one file each, and how `migrate` applies it.

A file is applied when its digest differs from the one that the table `sql_files` keeps, and what no file makes any more
is dropped. All of it, and the rights of the roles, is one transaction: a process that serves meanwhile meets what was
there before or what is there after, and no trigger that reads a table which its role may not read yet.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from audit import roles

ROOT: Final = Path(__file__).resolve().parents[2]
FILES: Final = (
    "audit/sql/append_only.sql",
    "entitlements/sql/mailbox.sql",
    "entitlements/sql/change_order.sql",
    "entitlements/sql/tool_definition.sql",
    "entitlements/sql/grant_end.sql",
    "entitlements/sql/grant_workflow.sql",
    "entitlements/sql/auditor_role_end.sql",
    "entitlements/sql/ephemeral_agent_end.sql",
    "entitlements/sql/agent_retirement.sql",
    "entitlements/sql/client_credential_acceptance.sql",
    "entitlements/sql/client_credential_in_use.sql",
    "governance/sql/person_accounts.sql",
    "governance/sql/delegation.sql",
    "governance/sql/approval_independence.sql",
    "governance/sql/appeal_independence.sql",
    "governance/sql/auto_approval_bounds.sql",
    "governance/sql/request_lifecycle.sql",
    "governance/sql/sod_exception.sql",
    "governance/sql/review_refusal.sql",
    "governance/sql/review_strategy.sql",
    "governance/sql/review_stages.sql",
    "governance/sql/review_conflict.sql",
    "governance/sql/review_rows_kept.sql",
    "governance/sql/review_snapshot_kept.sql",
    "governance/sql/review_population.sql",
    "governance/sql/review_lines.sql",
    "governance/sql/campaign_lifecycle.sql",
    "governance/sql/campaign_strategies.sql",
    "governance/sql/campaign_fallback_group.sql",
    "governance/sql/campaign_fallback.sql",
    "governance/sql/review_lines_left.sql",
    "governance/sql/review_decision.sql",
    "governance/sql/review_decision_stages.sql",
    "governance/sql/review_decision_critical.sql",
    "governance/sql/review_decision_remediation.sql",
    "governance/sql/review_decision_kept.sql",
    "governance/sql/review_decision_taken_back.sql",
    "governance/sql/review_item_lifecycle.sql",
    "governance/sql/review_item_settled.sql",
    "governance/sql/review_item_sealed.sql",
    "governance/sql/review_no_response.sql",
    "governance/sql/review_no_response_before.sql",
    "governance/sql/months_of_timing.sql",
    "governance/sql/review_assignment_sealed.sql",
    "governance/sql/review_timing.sql",
    "governance/sql/remediation_lifecycle.sql",
    "governance/sql/remediation_exception.sql",
    "governance/sql/remediation_exception_person.sql",
    "governance/sql/evidence_pack.sql",
    "governance/sql/evidence_pack_archive.sql",
    "governance/sql/evidence_pack_sign_off.sql",
    "governance/sql/evidence_piece.sql",
    "governance/sql/evidence_test.sql",
    "governance/sql/evidence_test_kept.sql",
    "governance/sql/review_discussion.sql",
    "governance/sql/review_comment.sql",
    "governance/sql/review_question.sql",
    "governance/sql/review_newer_signal.sql",
    "governance/sql/campaign_tally.sql",
    "governance/sql/campaign_tally_staged.sql",
    "governance/sql/review_item_tally.sql",
    "governance/sql/review_assignment_tally.sql",
    "governance/sql/spot_check_plan.sql",
    "governance/sql/spot_check_conflict.sql",
    "governance/sql/spot_check_seen.sql",
    "governance/sql/spot_check.sql",
    "governance/sql/event_triggered_review.sql",
    # Last: what it calls changes the lock_timeout of the transaction.
    "audit/sql/event_months.sql",
)
"""The files in the order in which they are applied: what a function in SQL calls comes before it."""

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS sql_files (
    path text, digest text, makes text[] NOT NULL, is_current boolean NOT NULL, PRIMARY KEY (path, digest)
)
"""
_MAKES: Final = re.compile(
    r"^CREATE (?:OR REPLACE )?(?:CONSTRAINT )?(?:(FUNCTION|VIEW) (\w+(?:\([^)]*\))?)|TRIGGER (\w+)[^;]*? ON (\w+)\s)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class SqlFile:
    """One file: where it lies below the project's folder, and its text."""

    path: str
    text: str

    @property
    def digest(self) -> str:
        """The SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def makes(self) -> list[str]:
        """What the file makes, each as DROP names it."""
        return [
            f"TRIGGER {trigger} ON {table}" if trigger else f"{kind} {name}"
            for kind, name, trigger, table in _MAKES.findall(self.text)
        ]


def read() -> list[SqlFile]:
    """Read all files, in order."""
    return [SqlFile(path, (ROOT / path).read_text(encoding="utf-8")) for path in FILES]


def apply(connection: BaseDatabaseWrapper, files: list[SqlFile] | None = None) -> list[str]:
    """Bring the database to the text of the files, and the roles to their rights; returns the paths that were applied.

    As the owner. Raises OperationalError where a table is in use for longer than `lock_timeout`; then nothing changes.
    """
    files = read() if files is None else files
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(_TABLE)
        cursor.execute("SELECT path, digest, makes FROM sql_files WHERE is_current")
        before = {path: (digest, makes) for path, digest, makes in cursor.fetchall()}
        made = {each for file in files for each in file.makes}
        gone = {each for _, makes in before.values() for each in makes} - made
        for kind, _, name in (each.partition(" ") for each in sorted(gone, reverse=True)):  # views, triggers, functions
            cursor.execute(f"DROP {kind} IF EXISTS {name}")
        changed = [file for file in files if before.get(file.path, ("",))[0] != file.digest]
        for file in changed:
            cursor.execute(file.text)
        cursor.execute(
            "UPDATE sql_files SET is_current = false WHERE is_current AND (path = ANY(%s) OR path <> ALL(%s))",
            [[file.path for file in changed], [file.path for file in files]],
        )
        cursor.executemany(
            "INSERT INTO sql_files (path, digest, makes, is_current) VALUES (%s, %s, %s, true)"
            " ON CONFLICT (path, digest) DO UPDATE SET is_current = true",
            [(file.path, file.digest, file.makes) for file in changed],
        )
        roles.apply(connection)
    return [file.path for file in changed]


def are_applied(connection: BaseDatabaseWrapper) -> bool:
    """Say whether each of this release's files was applied; one that a later release has replaced since was, too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('sql_files') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return False
        cursor.execute("SELECT path, digest FROM sql_files")
        return {(file.path, file.digest) for file in read()} <= set(cursor.fetchall())
