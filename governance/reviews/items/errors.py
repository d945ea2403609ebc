"""The errors of reviews. The docstring is the message, the code is the same in page, API and audit log."""

from __future__ import annotations

from http import HTTPStatus

from entitlements.errors import DomainError


class NotADraft(DomainError):
    """The campaign has begun or is being staged, so you cannot stage or begin it now."""

    code, status = "campaign_not_a_draft", HTTPStatus.CONFLICT


class NotStaged(DomainError):
    """The campaign is not staged, and it is too large to be staged on the way. Stage it first, then begin it."""

    code, status = "campaign_not_staged", HTTPStatus.CONFLICT


class SnapshotTooOld(DomainError):
    """The staged population is more than a day old. Stage the campaign again, then begin it."""

    code, status = "snapshot_too_old", HTTPStatus.CONFLICT


class DuePassed(DomainError):
    """The due date has passed, so its deadline would apply at once. Duplicate the campaign with a later due date."""

    code, status = "due_date_passed", HTTPStatus.CONFLICT


class NotAcknowledged(DomainError):
    """Some items have no reviewer. Assign one to each, or acknowledge that they are unassigned."""

    code, status = "unresolved_not_acknowledged", HTTPStatus.CONFLICT


class BadCadence(DomainError):
    """A recurring review needs the day of its first campaign, and 1 to 180 days for its reviewers."""

    code, status = "cadence_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class TemplateStopped(DomainError):
    """The template is stopped, so it makes no campaigns. Save a new template instead."""

    code, status = "template_stopped", HTTPStatus.CONFLICT


class NotPaused(DomainError):
    """The campaign is not paused."""

    code, status = "campaign_not_paused", HTTPStatus.CONFLICT


class NotUnderWay(DomainError):
    """The campaign is not active, so this is not possible now. Reviewers answer from its beginning to its closing."""

    code, status = "campaign_not_under_way", HTTPStatus.CONFLICT


class NoReviewerToRemind(DomainError):
    """There is no reviewer to remind: every item of this campaign is answered or unassigned."""

    code, status = "nobody_to_remind", HTTPStatus.CONFLICT


class NothingToReview(DomainError):
    """There is nothing to review: no access in force is within the scope. Change the scope of the campaign."""

    code, status = "nothing_to_review", HTTPStatus.CONFLICT


class NameTaken(DomainError):
    """Another campaign or template has this short name. Choose another one."""

    code, status = "campaign_exists", HTTPStatus.CONFLICT


class BadScope(DomainError):
    """The scope names something that does not exist, or an unknown field. Correct the named part."""

    code, status = "scope_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class BadCampaignOptions(DomainError):
    """An option is unknown, or answers would be carried forward for longer than the framework allows."""

    code, status = "review_settings_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class DueTooSoon(DomainError):
    """The due date is in the past. Choose a later day."""

    code, status = "due_in_the_past", HTTPStatus.UNPROCESSABLE_ENTITY


class DueTooLate(DomainError):
    """The due date is more than a year from now. Choose an earlier day, so that reviewers are reminded in time."""

    code, status = "due_too_late", HTTPStatus.UNPROCESSABLE_ENTITY


class ItemsOpen(DomainError):
    """Some items have no outcome yet. Answer them, or close the campaign without their answers."""

    code, status = "items_without_outcome", HTTPStatus.CONFLICT


class DeadlineAtWork(DomainError):
    """More items are open than can be closed at once. Wait until the deadline has been applied, then close it."""

    code, status = "deadline_at_work", HTTPStatus.CONFLICT


class NotTheReviewer(DomainError):
    """You are not the reviewer of this item, or it does not wait for an answer any more."""

    code, status = "not_the_reviewer", HTTPStatus.FORBIDDEN


class ConflictOfInterest(DomainError):
    """You have a conflict of interest: you requested, benefit from or technically own this, or answered it already."""

    code, status = "conflict_of_interest", HTTPStatus.FORBIDDEN


class MayNotReview(DomainError):
    """Only people answer reviews. Sign in yourself: tokens of scripts and agents may not review."""

    code, status = "may_not_review", HTTPStatus.FORBIDDEN


class BadAnswer(DomainError):
    """A part of the answer is unknown or does not fit the item. Correct the named field."""

    code, status = "review_answer_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class WrittenReasonRequired(DomainError):
    """To keep access of critical risk, write a comment that says why, of at least ten letters or digits."""

    code, status = "written_reason_required", HTTPStatus.UNPROCESSABLE_ENTITY


class ViolationOpen(DomainError):
    """You cannot keep this access: its agent violates an SoD policy, and no exception by another person covers it."""

    code, status = "sod_violation_open", HTTPStatus.CONFLICT


class Outdated(DomainError):
    """Your draft does not fit the item any more: a day in it has passed, or its tools changed. Draft it again."""

    code, status = "review_answer_outdated", HTTPStatus.CONFLICT


class NothingToSubmit(DomainError):
    """There is nothing to submit: draft an answer first."""

    code, status = "nothing_to_submit", HTTPStatus.CONFLICT


class Refused(DomainError):
    """The database refused this answer, because the item changed. Read the item again, then answer."""

    code, status = "review_answer_refused", HTTPStatus.CONFLICT


class TooLateToRecall(DomainError):
    """You can recall only your own answer, within fifteen minutes, while no other answer or outcome followed it."""

    code, status = "too_late_to_recall", HTTPStatus.CONFLICT


class NothingLeft(DomainError):
    """You cannot reopen this item: it has no decision, or nothing of its access is left."""

    code, status = "nothing_to_reopen", HTTPStatus.CONFLICT


class NotTheOwner(DomainError):
    """Only the owner of the campaign may do this."""

    code, status = "not_the_campaign_owner", HTTPStatus.FORBIDDEN


class NotSuspendedHere(DomainError):
    """You cannot restore this access: no deadline suspended it, or the time to restore it is over."""

    code, status = "not_suspended_by_deadline", HTTPStatus.CONFLICT


class StoppedByReview(DomainError):
    """A review suspended this. Only that review can restore it: recall or reopen its decision, or restore the item."""

    code, status = "stopped_by_review", HTTPStatus.CONFLICT


class DeadlineNotHeld(DomainError):
    """The deadline of this campaign is not held, so there is nothing to release."""

    code, status = "deadline_not_held", HTTPStatus.CONFLICT


class NotFailed(DomainError):
    """Only a remediation whose verification failed can be excepted, and this one has not failed."""

    code, status = "remediation_not_failed", HTTPStatus.CONFLICT


class ExceptionTooLong(DomainError):
    """The end of the exception must lie in the future, at most 180 days from now."""

    code, status = "exception_too_long", HTTPStatus.UNPROCESSABLE_ENTITY


class BadBulk(DomainError):
    """The items that you confirm are not the ones you previewed, or you did so too long ago. Preview them again."""

    code, status = "bulk_not_confirmed", HTTPStatus.CONFLICT
