"""What people say about a review item: each action declared once, for API and console."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from entitlements.access.caller import Caller
from entitlements.api.actions import Action, Subject
from entitlements.api.fields import InputSerializer, Text
from governance.reviews.campaigns.actions import ITEM, reviewer
from governance.reviews.discussion import comments, questions
from governance.reviews.discussion.models import ReviewQuestion


class DiscussionText(InputSerializer):
    """The text of a comment or an answer."""

    text = Text(max_length=2000)


def _questions(caller: Caller) -> QuerySet[ReviewQuestion]:
    return ReviewQuestion.objects.none() if caller.agent else questions.visible_to(caller.human)


QUESTION = Subject(
    _questions,
    lambda question: [f"campaign:{question.item.campaign.slug}", f"item:{question.item_id}"],
    by=reviewer,
    by_key=True,
)

COMMENT = Action(
    "review-item-comment", ITEM, comments.comment, input=DiscussionText, done=_("Your comment is saved with the item.")
)
ASK = Action(
    "review-item-ask",
    ITEM,
    questions.ask,
    input=None,
    done=lambda performed: (
        _("%(name)s has your question. The item stays assigned to you.") % {"name": performed.values["to"].name}
    ),
)
ANSWER = Action(
    "review-question-answer",
    QUESTION,
    questions.answer,
    input=DiscussionText,
    done=_("The reviewer has your answer."),
)
