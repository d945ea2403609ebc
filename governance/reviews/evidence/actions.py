"""What auditors and owners do with the evidence of a review: each action declared once, for API and console."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from entitlements.api.actions import Action, Subject
from entitlements.api.fields import ReasonInputSerializer
from entitlements.people.models import Person
from governance import tasks
from governance.reviews.campaigns.actions import CAMPAIGN, reviewer
from governance.reviews.evidence import audit
from governance.reviews.evidence.models import AuditQuestion, EvidenceShare, SampledItem
from governance.reviews.pack import seal
from governance.reviews.pack.models import EvidenceSealing


def _seal(campaign_id: UUID, *, by: Person, statement: str, amr: tuple[str, ...] = ()) -> EvidenceSealing:
    """Sign off a closed review, and have a worker seal its evidence."""
    run = seal.seal(campaign_id, by=by, statement=statement, amr=amr)
    transaction.on_commit(partial(tasks.seal_evidence.delay, str(campaign_id)), robust=True)
    return run


SHARED = Subject(
    lambda caller: EvidenceShare.objects.filter(campaign__in=CAMPAIGN.rows(caller)).select_related("campaign"),
    lambda share: [f"campaign:{share.campaign.slug}"],
    by=reviewer,
    by_key=True,
)
QUESTION = Subject(
    lambda caller: AuditQuestion.objects.filter(campaign__in=CAMPAIGN.rows(caller)).select_related("campaign"),
    lambda question: [f"campaign:{question.campaign.slug}"],
    by=reviewer,
    by_key=True,
)
SAMPLED = Subject(
    lambda caller: SampledItem.objects.filter(sample__campaign__in=CAMPAIGN.rows(caller)),
    lambda sampled: [f"campaign:{sampled.sample.campaign.slug}"],
    by=reviewer,
    by_key=True,
)

SHARE = Action("campaign-shares", CAMPAIGN, audit.share, input=None, done=_("The evidence is shared until that day."))
END_SHARE = Action(
    "evidence-share-end",
    SHARED,
    audit.end_share,
    input=ReasonInputSerializer,
    done=_("The evidence is no longer shared."),
)
DRAW = Action(
    "campaign-samples",
    CAMPAIGN,
    audit.draw,
    input=None,
    done=lambda performed: _("The sample is drawn with the seed %(seed)s.") % {"seed": performed.result.seed},
)
MARK = Action("audit-sample-marks", SAMPLED, audit.mark, input=None, done=_("The finding is saved."))
ASK = Action(
    "campaign-questions",
    CAMPAIGN,
    audit.ask,
    input=None,
    done=_("The question is sent. An answer is due in one working day."),
)
ANSWER = Action("audit-question-answer", QUESTION, audit.answer, input=None, done=_("The answer is sent."))
SEAL = Action("campaign-seal", CAMPAIGN, _seal, input=None)
