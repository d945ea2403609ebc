"""What a campaign looks at, who answers and how, as it comes in at each address that makes, keeps or previews one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from rest_framework import serializers

from entitlements.api.fields import Strict, Text
from governance.deciders import review_rules
from governance.reviews.campaigns.models import Campaign
from governance.reviews.population import campaigns

_MOST: Final = 200


class Scope(Strict):
    """What a campaign looks at: systems and agents by slug, a condition, and what is left out with its reason."""

    systems = serializers.ListField(child=Text(max_length=64), required=False, max_length=_MOST)
    agents = serializers.ListField(child=Text(max_length=64), required=False, max_length=_MOST)
    where = serializers.DictField(required=False)
    exclude = serializers.ListField(child=serializers.DictField(), required=False, max_length=50)


class Strategies(Strict):
    """Who answers what is of a risk, and what their answers come to; without one, one person, and two from high on."""

    low = serializers.ChoiceField(choices=[*review_rules.Strategy], required=False)
    medium = serializers.ChoiceField(choices=[*review_rules.Strategy], required=False)
    high = serializers.ChoiceField(choices=[*review_rules.TWO], required=False)
    critical = serializers.ChoiceField(choices=[*review_rules.TWO], required=False)


class MannerAsked(Strict):
    """Who answers, and how: `fallback_group` and then the owner are asked where the chain of the kind finds nobody."""

    mode = serializers.ChoiceField(choices=Campaign.Mode.choices, required=False, default=Campaign.Mode.FULL)
    framework = serializers.ChoiceField(
        choices=Campaign.Framework.choices, required=False, default=Campaign.Framework.NONE
    )
    carry_days = serializers.IntegerField(min_value=0, max_value=366, required=False, default=0)
    strategies = Strategies(required=False, default=dict)
    fallback_group = Text(max_length=64, required=False, allow_blank=True, default="")
    asks_owner = serializers.BooleanField(required=False, default=False)


def options_of(body: Mapping[str, Any]) -> campaigns.CampaignOptions:
    """Read how a campaign goes about it from what was sent."""
    return campaigns.CampaignOptions(**{each.name: body[each.name] for each in fields(campaigns.CampaignOptions)})
