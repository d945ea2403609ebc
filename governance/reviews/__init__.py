"""The verbs of access reviews: make, begin and close a campaign; draft, submit, take back; apply and prove a cut."""

from .answering import Answer, Submission, drafts_of, drafts_tag, save_draft, submit
from .assigning import reassign, reassign_leavers
from .campaigns import Manner, activate, make
from .closing import close, finish_closing
from .deadlines import apply_due, release, revoke_due
from .errors import (
    BadAnswer,
    ConflictOfInterest,
    ItemsOpen,
    MayNotReview,
    NotADraft,
    NothingToReview,
    NothingToSubmit,
    NotUnderWay,
)
from .evidence import Evidence, evidence
from .excepting import make as make_exception
from .recalling import recall, reopen
from .removing import prove
from .restoring import restore
from .seeing import campaigns_visible_to, items_visible_to, waiting_for
from .sweeping import prove_due
from .usage import roll_up

__all__ = [
    "Answer",
    "BadAnswer",
    "ConflictOfInterest",
    "Evidence",
    "ItemsOpen",
    "Manner",
    "MayNotReview",
    "NotADraft",
    "NotUnderWay",
    "NothingToReview",
    "NothingToSubmit",
    "Submission",
    "activate",
    "apply_due",
    "campaigns_visible_to",
    "close",
    "drafts_of",
    "drafts_tag",
    "evidence",
    "finish_closing",
    "items_visible_to",
    "make",
    "make_exception",
    "prove",
    "prove_due",
    "reassign",
    "reassign_leavers",
    "recall",
    "release",
    "reopen",
    "restore",
    "revoke_due",
    "roll_up",
    "save_draft",
    "submit",
    "waiting_for",
]
