"""The scope and options of a campaign in requests that create, save or preview one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from rest_framework import serializers

from entitlements.api.fields import InputSerializer, Text
from governance.reviews.campaigns.models import Campaign
from governance.reviews.items import review_rules
from governance.reviews.population import campaigns

_MOST: Final = 200


class Scope(InputSerializer):
    """What a campaign covers: systems and agents by slug, departments by name, a condition, exclusions with reasons.

    An agent is of the department of its sponsor, as the people source names it.
    """

    systems = serializers.ListField(child=Text(max_length=64), required=False, max_length=_MOST)
    agents = serializers.ListField(child=Text(max_length=64), required=False, max_length=_MOST)
    departments = serializers.ListField(child=Text(max_length=300), required=False, max_length=_MOST)
    where = serializers.DictField(required=False)
    exclude = serializers.ListField(child=serializers.DictField(), required=False, max_length=50)


class Strategies(InputSerializer):
    """How many people answer by risk level and how answers combine; default: one person, two from high risk on."""

    low = serializers.ChoiceField(choices=[*review_rules.Strategy], required=False)
    medium = serializers.ChoiceField(choices=[*review_rules.Strategy], required=False)
    high = serializers.ChoiceField(choices=[*review_rules.TWO], required=False)
    critical = serializers.ChoiceField(choices=[*review_rules.TWO], required=False)


class CampaignSettingsInputSerializer(InputSerializer):
    """Options of a campaign. `fallback_group`, then its owner, review the items for which no reviewer is found."""

    mode = serializers.ChoiceField(choices=Campaign.Mode.choices, required=False, default=Campaign.Mode.FULL)
    framework = serializers.ChoiceField(
        choices=Campaign.Framework.choices, required=False, default=Campaign.Framework.NONE
    )
    carry_days = serializers.IntegerField(min_value=0, max_value=366, required=False, default=0)
    strategies = Strategies(required=False, default=dict)
    fallback_group = Text(max_length=64, required=False, allow_blank=True, default="")
    asks_owner = serializers.BooleanField(required=False, default=False)


def options_of(body: Mapping[str, Any]) -> campaigns.CampaignOptions:
    """Return the campaign options of a request body."""
    return campaigns.CampaignOptions(**{each.name: body[each.name] for each in fields(campaigns.CampaignOptions)})
