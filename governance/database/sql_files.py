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
    "audit/sql/count_strangers_v1.sql",
    "audit/sql/record_event_v1.sql",
    "entitlements/people/sql/mailbox.sql",
    "entitlements/feed/sql/acknowledge_v1.sql",
    "entitlements/feed/sql/change_order.sql",
    "entitlements/catalog/sql/tool_definition.sql",
    "entitlements/proposals/sql/proposal.sql",
    "entitlements/catalog/sql/tool_class.sql",
    "entitlements/guardrails/sql/guardrail_version.sql",
    "entitlements/decoys/sql/decoy.sql",
    "entitlements/budgets/sql/lease_budget_v1.sql",
    "entitlements/budgets/sql/return_budget_v1.sql",
    "entitlements/grants/sql/grant_end.sql",
    "entitlements/grants/sql/grant_workflow.sql",
    "entitlements/people/sql/auditor_role_end.sql",
    "entitlements/agents/sql/ephemeral_agent_end.sql",
    "entitlements/agents/sql/agent_retirement.sql",
    "entitlements/clients/sql/client_credential_acceptance.sql",
    "entitlements/clients/sql/client_credential_in_use.sql",
    "entitlements/workload_identity/sql/workload_rule.sql",
    "entitlements/token_families/sql/address_of_open_family.sql",
    "entitlements/vendors/sql/vendor_email_v1.sql",
    "entitlements/risk/sql/receive_security_events_v1.sql",
    "entitlements/risk/sql/risk_history.sql",
    "entitlements/tokens/sql/issue_token_v3.sql",
    "entitlements/tokens/sql/revoke_tokens_v1.sql",
    "entitlements/tokens/sql/issue_family_token_v3.sql",
    "entitlements/tokens/sql/revoke_token_family_v1.sql",
    "entitlements/clients/sql/rotate_client_credential_v1.sql",
    "governance/people/sql/person_accounts.sql",
    "governance/conflicts_of_interest/sql/conflict.sql",
    "governance/out_of_office/sql/delegation.sql",
    "governance/approvals/sql/approval_independence.sql",
    "governance/request_changes/sql/appeal_independence.sql",
    "governance/approvals/sql/auto_approval_bounds.sql",
    "governance/requests/sql/request_lifecycle.sql",
    "governance/sod/sql/sod_exception.sql",
    "governance/reviews/items/sql/review_refusal.sql",
    "governance/reviews/items/sql/review_strategy.sql",
    "governance/reviews/items/sql/review_stages.sql",
    "governance/reviews/reviewers/sql/review_conflict.sql",
    "governance/reviews/items/sql/review_rows_kept.sql",
    "governance/reviews/population/sql/review_snapshot_kept.sql",
    "governance/reviews/population/sql/review_population.sql",
    "governance/reviews/items/sql/review_lines.sql",
    "governance/reviews/campaigns/sql/campaign_lifecycle.sql",
    "governance/reviews/campaigns/sql/campaign_strategies.sql",
    "governance/reviews/campaigns/sql/campaign_fallback_group.sql",
    "governance/reviews/campaigns/sql/campaign_fallback.sql",
    "governance/reviews/items/sql/review_lines_left.sql",
    "governance/reviews/decisions/sql/review_decision.sql",
    "governance/reviews/decisions/sql/review_decision_stages.sql",
    "governance/reviews/decisions/sql/review_decision_critical.sql",
    "governance/reviews/remediation/sql/review_decision_remediation.sql",
    "governance/reviews/decisions/sql/review_decision_kept.sql",
    "governance/reviews/remediation/sql/review_decision_taken_back.sql",
    "governance/reviews/items/sql/review_item_lifecycle.sql",
    "governance/reviews/items/sql/review_item_settled.sql",
    "governance/reviews/items/sql/review_item_sealed.sql",
    "governance/reviews/deadlines/sql/review_no_response.sql",
    "governance/reviews/deadlines/sql/review_no_response_before.sql",
    "governance/reviews/quality/sql/months_of_timing.sql",
    "governance/reviews/reviewers/sql/review_assignment_sealed.sql",
    "governance/reviews/quality/sql/review_timing.sql",
    "governance/reviews/remediation/sql/remediation_lifecycle.sql",
    "governance/reviews/remediation/sql/remediation_exception.sql",
    "governance/reviews/remediation/sql/remediation_exception_person.sql",
    "governance/exceptions/sql/exception_register.sql",
    "governance/reviews/pack/sql/evidence_pack.sql",
    "governance/reviews/pack/sql/evidence_pack_archive.sql",
    "governance/reviews/pack/sql/evidence_pack_sign_off.sql",
    "governance/reviews/pack/sql/evidence_piece.sql",
    "governance/reviews/evidence/sql/evidence_test.sql",
    "governance/reviews/evidence/sql/evidence_test_kept.sql",
    "governance/reviews/discussion/sql/review_discussion.sql",
    "governance/reviews/discussion/sql/review_comment.sql",
    "governance/reviews/discussion/sql/review_question.sql",
    "governance/reviews/items/sql/campaign_tally.sql",
    "governance/reviews/items/sql/campaign_tally_staged.sql",
    "governance/reviews/items/sql/review_item_tally.sql",
    "governance/reviews/reviewers/sql/review_assignment_tally.sql",
    "governance/reviews/spot_checks/sql/spot_check_plan.sql",
    "governance/reviews/spot_checks/sql/spot_check_conflict.sql",
    "governance/reviews/spot_checks/sql/spot_check.sql",
    "governance/reviews/event_triggered/sql/event_triggered_review.sql",
    "governance/worker/sql/wakes.sql",
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
        current = {name for file in files for name in file.makes}
        gone = {name for _, makes in before.values() for name in makes} - current
        for kind, _, name in (made.partition(" ") for made in sorted(gone, reverse=True)):  # views, triggers, functions
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
    """Return whether each of this release's files was applied; one that a later release has replaced since was, too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('sql_files') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return False
        cursor.execute("SELECT path, digest FROM sql_files")
        return {(file.path, file.digest) for file in read()} <= set(cursor.fetchall())
