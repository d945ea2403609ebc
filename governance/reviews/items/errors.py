"""What a review refuses, each with the word that page, API and record share."""

from __future__ import annotations

from http import HTTPStatus

from entitlements.errors import DomainError


class NotADraft(DomainError):
    """The campaign has begun already."""

    code, status = "campaign_not_a_draft", HTTPStatus.CONFLICT


class NotStaged(DomainError):
    """The campaign is not staged yet, and too large to be staged on the way; have it staged first."""

    code, status = "campaign_not_staged", HTTPStatus.CONFLICT


class SnapshotTooOld(DomainError):
    """What was staged is more than a day old; have it taken anew."""

    code, status = "snapshot_too_old", HTTPStatus.CONFLICT


class DuePassed(DomainError):
    """Its due date has passed, so its silence would be acted on at once; make another like it, with a later day."""

    code, status = "due_date_passed", HTTPStatus.CONFLICT


class NotAcknowledged(DomainError):
    """Some items have no reviewer; name somebody, or say that you have seen it."""

    code, status = "unresolved_not_acknowledged", HTTPStatus.CONFLICT


class BadCadence(DomainError):
    """A recurring review needs a day on which it is made first, and one to 180 days for its reviewers."""

    code, status = "cadence_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class TemplateStopped(DomainError):
    """The template is stopped already."""

    code, status = "template_stopped", HTTPStatus.CONFLICT


class NotPaused(DomainError):
    """The campaign is not paused."""

    code, status = "campaign_not_paused", HTTPStatus.CONFLICT


class NotUnderWay(DomainError):
    """The campaign is not under way; nothing is decided before it begins or after it closes."""

    code, status = "campaign_not_under_way", HTTPStatus.CONFLICT


class NobodyToRemind(DomainError):
    """Nobody has anything left to answer in this campaign."""

    code, status = "nobody_to_remind", HTTPStatus.CONFLICT


class NothingToReview(DomainError):
    """No access in force is within the scope of this campaign."""

    code, status = "nothing_to_review", HTTPStatus.CONFLICT


class NameTaken(DomainError):
    """Another campaign has this short name."""

    code, status = "campaign_exists", HTTPStatus.CONFLICT


class BadScope(DomainError):
    """The scope names something that does not exist, or a field that is not known."""

    code, status = "scope_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class BadCampaignOptions(DomainError):
    """The kind is unknown, or answers would be carried forward for longer than the framework lets them."""

    code, status = "review_manner_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class DueTooSoon(DomainError):
    """The campaign would be due in the past."""

    code, status = "due_in_the_past", HTTPStatus.UNPROCESSABLE_ENTITY


class DueTooLate(DomainError):
    """The campaign would be due more than a year from now: nobody would be reminded, and nothing would end."""

    code, status = "due_too_late", HTTPStatus.UNPROCESSABLE_ENTITY


class ItemsOpen(DomainError):
    """Some items have no outcome yet; answer them, or say that they stay without an answer."""

    code, status = "items_without_outcome", HTTPStatus.CONFLICT


class DeadlineAtWork(DomainError):
    """More is open than gets its outcome at once: let the deadline take its course, and close when it is through."""

    code, status = "deadline_at_work", HTTPStatus.CONFLICT


class NotTheReviewer(DomainError):
    """The item waits for somebody else's answer, or for nobody's any more."""

    code, status = "not_the_reviewer", HTTPStatus.FORBIDDEN


class ConflictOfInterest(DomainError):
    """Nobody reviews what they requested, benefit from, or own technically."""

    code, status = "conflict_of_interest", HTTPStatus.FORBIDDEN


class MayNotReview(DomainError):
    """Only people review, at first hand; no token of a script or an agent does."""

    code, status = "may_not_review", HTTPStatus.FORBIDDEN


class BadAnswer(DomainError):
    """Some part of the answer is not known here, or does not fit the item; look at what is named."""

    code, status = "review_answer_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class WrittenReasonRequired(DomainError):
    """Keeping what is of critical risk needs a comment that says why, of at least ten letters or digits."""

    code, status = "written_reason_required", HTTPStatus.UNPROCESSABLE_ENTITY


class ViolationOpen(DomainError):
    """Keeping this access needs an exception from the SoD policy that its agent violates, given by another person."""

    code, status = "sod_violation_open", HTTPStatus.CONFLICT


class Outdated(DomainError):
    """What was drafted fits its item no longer: a day in it is past or not earlier now, or other tools are left."""

    code, status = "review_answer_outdated", HTTPStatus.CONFLICT


class NothingToSubmit(DomainError):
    """You have drafted no answer that is not submitted yet."""

    code, status = "nothing_to_submit", HTTPStatus.CONFLICT


class Refused(DomainError):
    """The database does not accept this answer; read the item again."""

    code, status = "review_answer_refused", HTTPStatus.CONFLICT


class TooLateToRecall(DomainError):
    """An answer is taken back by who gave it, within fifteen minutes, while no answer or outcome came after it."""

    code, status = "too_late_to_recall", HTTPStatus.CONFLICT


class NothingLeft(DomainError):
    """The item has no answer to open again, or nothing of its access is left."""

    code, status = "nothing_to_reopen", HTTPStatus.CONFLICT


class NotTheOwner(DomainError):
    """Only the owner of the campaign may do this."""

    code, status = "not_the_campaign_owner", HTTPStatus.FORBIDDEN


class NotSuspendedHere(DomainError):
    """The access is not suspended for want of an answer, or it is too late to restore it."""

    code, status = "not_suspended_by_deadline", HTTPStatus.CONFLICT


class StoppedByReview(DomainError):
    """A review stopped this; it works again by what the review offers for that, or not at all."""

    code, status = "stopped_by_review", HTTPStatus.CONFLICT


class DeadlineNotHeld(DomainError):
    """The deadline of this campaign does not wait for anybody's word."""

    code, status = "deadline_not_held", HTTPStatus.CONFLICT


class NotFailed(DomainError):
    """Only a cut that could not be proven is excepted."""

    code, status = "removal_not_failed", HTTPStatus.CONFLICT


class ExceptionTooLong(DomainError):
    """An exception ends later than now and lasts at most 180 days."""

    code, status = "exception_too_long", HTTPStatus.UNPROCESSABLE_ENTITY


class BadBulk(DomainError):
    """What was confirmed is not what was looked at, or too long ago; look at it again."""

    code, status = "bulk_not_confirmed", HTTPStatus.CONFLICT
