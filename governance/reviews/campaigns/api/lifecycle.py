"""The life of a campaign over REST: staging, pausing, reminding, reassigning, resuming, cancelling."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from rest_framework import serializers
from rest_framework.response import Response

from entitlements.api.actions import Performed
from entitlements.api.fields import OutputSerializer, Text
from governance.conflicts_of_interest.rules import OF_REVIEWS
from governance.reviews.campaigns import actions
from governance.reviews.campaigns.actions import Why
from governance.reviews.reviewers import handover

from .campaigns import CampaignAction, person_named


class Stage(CampaignAction):
    """Stage a campaign.

    Its items are made and its reviewers assigned, to look at before the launch. A worker does it.
    """

    action = actions.STAGE
    answers = HTTPStatus.ACCEPTED


class Pause(CampaignAction):
    """Pause a campaign. Reviewers cannot decide, and no deadline applies. Remediation is verified all the same."""

    action = actions.PAUSE


class Remind(CampaignAction):
    """Remind the reviewers with open items. Each gets at most one notice a day."""

    action = actions.REMIND


class BulkReassignment(Why):
    """Move the open items of reviewer `of` (empty: the unassigned ones), or these `items`, to reviewer `to`.

    Without `count` nothing moves: the answer says which items would. `count` is how many items that answer named.
    """

    of = Text(max_length=64, allow_blank=True, required=False, default="")
    items = serializers.ListField(
        child=serializers.UUIDField(),
        min_length=1,
        max_length=handover.MOST,
        required=False,
        allow_null=True,
        default=None,
    )
    to = Text(max_length=64)
    count = serializers.IntegerField(
        min_value=1, max_value=handover.MOST, required=False, allow_null=True, default=None
    )


class NotGivenSerializer(OutputSerializer):
    """An item that the new reviewer may not answer, and why."""

    item = serializers.UUIDField()
    why = serializers.ChoiceField(choices=OF_REVIEWS)


class ReassignmentSerializer(OutputSerializer):
    """Which items the new reviewer may answer, which not, and how many were reassigned.

    Where fewer items are named than are `waiting`, they are the first ones: reassign them, then ask again.
    """

    waiting = serializers.IntegerField()
    fits = serializers.ListField(child=serializers.UUIDField())
    barred = NotGivenSerializer(many=True)
    given = serializers.IntegerField()


class ReassignAll(CampaignAction):
    """Reassign the open items of one reviewer to another. Without `count` the answer is a preview."""

    action = actions.HAND_OVER
    is_versioned = False
    asked = BulkReassignment
    shown = ReassignmentSerializer

    def read(self) -> dict[str, Any]:
        """Read from whom to whom, by login; with a `count` the items are reassigned, else only listed."""
        body = super().read()
        to = person_named("to", body["to"])
        return {**body, "of": person_named("of", body["of"]) if body["of"] else None, "to": to}

    def answer(self, performed: Performed) -> Response:
        """Answer which items the new reviewer may answer, and how many were given."""
        seen, given = performed.result.seen, performed.result.given
        barred = [{"item": str(item), "why": why.value} for item, why in seen.barred.items()]
        fits = list(map(str, seen.fits))
        return Response({"waiting": seen.waiting, "fits": fits, "barred": barred, "given": given})


class Resume(CampaignAction):
    """Resume a paused campaign. Its due date moves by as long as it was paused."""

    action = actions.RESUME


class Cancel(CampaignAction):
    """Cancel a campaign. It stays listed, and its decisions stay in effect."""

    action = actions.CANCEL
