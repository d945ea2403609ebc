"""The verbs of access reviews: make, begin and close a campaign; draft, submit, take back; apply and prove a cut."""

from .answering import Submission, drafts_of, drafts_tag, save_draft, submit
from .assigning import hand_on, reassign, reassign_leavers
from .campaigns import Manner, make
from .claiming import claim
from .closing import close, finish_closing
from .commenting import comment
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
from .inquiring import answer as answer_question
from .inquiring import ask
from .launching import activate, stage, stage_now
from .looking import looked
from .nudging import remind
from .pausing import cancel, pause, resume
from .recalling import recall, reopen
from .removing import prove
from .restoring import restore
from .saying import Answer
from .seeing import campaigns_visible_to, items_visible_to, waiting_for
from .stepping import advance, unfinished
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
    "advance",
    "answer_question",
    "apply_due",
    "ask",
    "campaigns_visible_to",
    "cancel",
    "claim",
    "close",
    "comment",
    "drafts_of",
    "drafts_tag",
    "evidence",
    "finish_closing",
    "hand_on",
    "items_visible_to",
    "looked",
    "make",
    "make_exception",
    "pause",
    "prove",
    "prove_due",
    "reassign",
    "reassign_leavers",
    "recall",
    "release",
    "remind",
    "reopen",
    "restore",
    "resume",
    "revoke_due",
    "roll_up",
    "save_draft",
    "stage",
    "stage_now",
    "submit",
    "unfinished",
    "waiting_for",
]
