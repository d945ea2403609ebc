"""A slow and obvious judge of submitting drafts, rule by rule as the design of reviews has them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from governance.reviews.decisions.rules import Case, Drafted, Holdings
from governance.reviews.items.answer import Answer
from tests.governance.reviews.decisions.submission_cases import CODES, CONFLICT, DAY, HOUR, OUTDATED, tag

type Reference = tuple[str, object] | list[tuple[list[int], UUID | None, int | None, UUID | None]]


def reference(case: Case) -> Reference:  # noqa: C901, PLR0911, PLR0912 - rule by rule
    """Return the code and what it names, or of each item what is kept, superseded, asked next, and its outcome."""
    if not case.is_under_way:
        return "campaign_not_under_way", None
    if not case.is_active:
        return "may_not_review", None
    if len(case.listed) == 0:
        return "nothing_to_submit", None
    if case.tag is not None and case.tag != tag(case):
        return "stale", None
    if len(case.held) == 0 and len(case.ended) == 0:
        return "nothing_to_submit", None
    if case.tag is not None:
        expected = {pk: (item, rev) for pk, (item, rev) in case.listed.items() if item not in case.ended}
        if expected != case.held:
            return "stale", None
    for draft in case.drafts:
        if draft.risk == "critical" and not case.is_proven:
            return "stale", None
    outdated = [(draft.item, part) for draft in case.drafts if (part := misfit(draft, case.now))]
    if outdated:
        return OUTDATED, outdated
    in_order = [draft for stage in (1, 2) for draft in case.drafts if draft.stage == stage]
    for draft in in_order:
        for voice in draft.voices:
            why = against(voice, draft)
            if why:
                return CONFLICT, (draft.item, why)
    for draft in case.drafts:
        for violation in draft.violations:
            if violation.excepted_by == "" or violation.excepted_by in draft.voices:
                return "sod_violation_open", (draft.item, violation.policy)
    for draft in in_order:
        code = missing(draft)
        if code:
            return code, draft.item
    return [(kept(draft), superseded(draft), *outcome(draft)) for draft in case.drafts]


def misfit(draft: Drafted, now: datetime) -> str:  # noqa: C901, PLR0911, PLR0912 - rule by rule
    """Name the part of an answer that does not fit, if one does not."""
    answer, held = draft.answer, draft.holdings
    if answer.verb not in ("certify", "reduce", "revoke", "abstain"):
        return "verb"
    if answer.reason_code != "" and answer.reason_code not in CODES[answer.verb]:
        return "verb"
    if answer.verb != "reduce" and (len(answer.kept) > 0 or len(answer.limits) > 0):
        return "kept"
    may_end = answer.verb in ("certify", "reduce")
    if answer.valid_until is not None and (not may_end or answer.valid_until <= now + HOUR):
        return "valid_until"
    at, may_wait = answer.effective_at, answer.verb == "revoke"
    if at is not None and (not may_wait or at <= now + HOUR or at > now + 14 * DAY):
        return "effective_at"
    if held.is_whole and answer.valid_until is not None:
        return "valid_until"
    if held.is_whole and answer.verb == "reduce":
        return "verb"
    if held.kind != "access":
        if answer.valid_until is not None:
            return "valid_until"
        if answer.limits:
            return "limits"
        if answer.effective_at is not None:
            return "effective_at"
        if answer.verb == "reduce" and held.kind != "entitlement":
            return "verb"
    if answer.valid_until is not None and not (held.ends_at is not None and answer.valid_until < held.ends_at):
        return "valid_until"
    return misfit_of_lines(answer, held) if answer.verb == "reduce" else ""


def misfit_of_lines(answer: Answer, held: Holdings) -> str:
    """Name what is wrong with a reduction: its lines, or a limit that is not tighter."""
    if len(answer.kept) == 0:
        return "kept"
    if any(line not in held.lines for line in answer.kept):
        return "kept"
    if all(line in answer.kept for line in held.lines) and len(answer.limits) == 0:
        return "kept"
    for line, limit in answer.limits.items():
        if line not in answer.kept or line not in held.limits:
            return "limits"
        new, old = set(limit["zone"]["one_of"]), set(held.limits[line]["zone"]["one_of"])
        if new == old or not new <= old:
            return "limits"
    return ""


def against(voice: str, draft: Drafted) -> str:
    """Say why an account may not answer, if it may not. Who is asked first about their own may."""
    people = draft.people
    if voice == people.asked_first:
        return ""
    whys = {
        "their_own": voice in people.own,
        "requested_it": voice in people.requesters,
        "owns_the_agent": voice in people.owners,
        "benefits": voice in people.beneficiaries,
        "approved_it_lately": voice in people.approvers,
        "answered_another_stage": voice in people.answered,
        "gave_it_at_their_system": voice in people.gave,
    }
    return ([why for why, stands in whys.items() if stands] or [""])[0]


def missing(draft: Drafted) -> str:
    """Return the code of what an answer lacks: a reason, or one in the reviewer's own words."""
    answer = draft.answer
    is_plain = answer.verb == "certify" and draft.risk in ("low", "medium")
    if answer.reason_code == "" and (not is_plain or draft.suggestion in ("reduce", "revoke")):
        return "reason_required"
    letters = [letter for letter in answer.comment if letter.isalpha() or letter.isnumeric()]
    if answer.verb == "certify" and draft.risk == "critical" and len(letters) < 10:
        return "written_reason_required"
    return ""


def kept(draft: Drafted) -> list[int]:
    """Return the lines that stay by an answer."""
    if draft.answer.verb == "certify":
        return list(draft.holdings.lines)
    return sorted(draft.answer.kept) if draft.answer.verb == "reduce" else []


def superseded(draft: Drafted) -> UUID | None:
    """Return the decision of this stage that was taken back."""
    for each in draft.earlier:
        if each.stage == draft.stage and each.is_taken_back:
            return each.decision if draft.answer.verb != "abstain" else None
    return None


def outcome(draft: Drafted) -> tuple[int | None, UUID | None]:
    """Return the stage that is asked next, and the earlier decision that is the outcome, if it is not this answer."""
    verb = draft.answer.verb
    if verb == "abstain":
        return draft.stage, None
    counts = [each for each in draft.earlier if each.verb != "abstain" and not each.is_taken_back]
    if verb != "revoke" and len(counts) + 1 < draft.stages:
        return 2, None
    answers: list[tuple[str, int, UUID | None]] = [(verb, draft.stage, None)]
    answers += [(each.verb, each.stage, each.decision) for each in counts]
    for strict in ("revoke", "reduce", "certify"):
        same = [(stage, decision) for verb, stage, decision in answers if verb == strict]
        if same:
            last = max(stage for stage, _decision in same)
            return None, next(decision for stage, decision in same if stage == last)
    raise AssertionError(draft)
