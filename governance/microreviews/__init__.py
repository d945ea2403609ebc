"""Small reviews that begin by themselves: something happened to one agent, and one person is asked about it on a page.

What happened is read from the record (`hearing`) and from what sweeps find (`finding`), and waits as one cause a kind
and subject (`causes`). It is asked about as a campaign of kind `micro` (`opening`), so that reviewers, answers, cuts,
proofs and deadlines are those of every review; `answering` is its page, `settling` its end.
"""

from .answering import Said, answer, postpone, weighs
from .causes import waiting_count
from .finding import find
from .following import NothingToFollowUp, follow_up, may_ask_again
from .hearing import listen
from .opening import open_due
from .seeing import asks_if_needed, open_of, visible_to
from .settling import settle_due
from .telling import happened

__all__ = [
    "NothingToFollowUp",
    "Said",
    "answer",
    "asks_if_needed",
    "find",
    "follow_up",
    "happened",
    "listen",
    "may_ask_again",
    "open_due",
    "open_of",
    "postpone",
    "settle_due",
    "visible_to",
    "waiting_count",
    "weighs",
]
