"""Who is asked where the chain of a review finds nobody, and who owns a system never answers alone for what they gave.

Only adds. The release before asks nobody of a group; what it gave an owner of a system who had approved it herself, for
one person to answer, she is refused until somebody else is named.
"""

# ruff: noqa: E501 - the SQL is read as one piece, and compared with that of 0043

from importlib import import_module
from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

_BEFORE = import_module("governance.migrations.0043_independence_and_removals_of_later").DO
UNDO = _BEFORE[: _BEFORE.index("CREATE FUNCTION governance_stages_are_two_people")]
_LAST = "    RETURN NULL;\nEND $$;"
DO = UNDO.replace(
    _LAST,
    """    IF EXISTS (SELECT FROM governance_reviewitem i JOIN entitlements_system y ON y.id = i.system_id
               JOIN governance_populationrow p ON p.item_id = i.id JOIN entitlements_grant g ON g.id = p.grant_id
               JOIN governance_accessrequest r ON r.id = g.request_id JOIN entitlements_agent a ON a.id = r.agent_id
               JOIN governance_approval v ON v.request_id = r.id
               CROSS JOIN LATERAL (VALUES (v.by_id), (v.in_place_of_id)) AS said (id)
               WHERE i.id = asked AND y.owner_id = ANY (voices)
                 AND governance_item_stages(i.holder_first, i.risk, i.campaign_id) = 1
                 AND v.answer = 'approved' AND said.id = ANY (voices)
                 AND (v.stage <> 'sponsor' OR said.id <> coalesce(r.sponsor_then_id, a.sponsor_id))) THEN
        RETURN 'who owns a system certifies what they gave only with a second person';
    END IF;
"""
    + _LAST,
)
DO += """
CREATE FUNCTION governance_is_asked_last(which bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT which IS NULL OR count(DISTINCT coalesce(nullif(upper(p.email), ''), p.login)) >= 2
    FROM entitlements_membership m JOIN entitlements_person p ON p.id = m.person_id WHERE m.group_id = which AND p.is_active
$$;
CREATE FUNCTION governance_fallback_is_fit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND to_jsonb(OLD) ->> 'state' <> 'draft'
            AND (NEW.fallback_group_id, NEW.asks_owner) IS DISTINCT FROM (OLD.fallback_group_id, OLD.asks_owner) THEN
        PERFORM governance_review_refuses('who is asked last is fixed when a campaign begins');
    END IF;
    IF (TG_OP = 'INSERT' OR NEW.fallback_group_id IS DISTINCT FROM OLD.fallback_group_id)
            AND NOT governance_is_asked_last(NEW.fallback_group_id) THEN
        PERFORM governance_review_refuses('a group that is asked last has at least two people who are here');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER who_is_asked_last_is_fit BEFORE INSERT OR UPDATE OF fallback_group_id, asks_owner ON governance_campaign
FOR EACH ROW EXECUTE FUNCTION governance_fallback_is_fit();
CREATE TRIGGER who_is_asked_last_is_fit BEFORE INSERT OR UPDATE OF fallback_group_id, asks_owner ON governance_campaigntemplate
FOR EACH ROW EXECUTE FUNCTION governance_fallback_is_fit();
"""
UNDO += """
DROP TRIGGER who_is_asked_last_is_fit ON governance_campaign;
DROP TRIGGER who_is_asked_last_is_fit ON governance_campaigntemplate;
DROP FUNCTION governance_fallback_is_fit(), governance_is_asked_last(bigint);
"""


def _group() -> models.ForeignKey:
    return models.ForeignKey(
        blank=True,
        db_index=False,
        null=True,
        on_delete=django.db.models.deletion.PROTECT,
        related_name="+",
        to="entitlements.group",
    )


class Migration(migrations.Migration):
    """Two columns of campaigns and of templates, and the functions that triggers call."""

    dependencies: ClassVar = [
        ("governance", "0052_answers_in_a_place"),
        ("entitlements", "0018_credentials_that_are_withheld"),
    ]
    operations: ClassVar = [
        migrations.AddField("campaign", "fallback_group", _group()),
        migrations.AddField("campaign", "asks_owner", models.BooleanField(db_default=False, default=False)),
        migrations.AddField("campaigntemplate", "fallback_group", _group()),
        migrations.AddField("campaigntemplate", "asks_owner", models.BooleanField(db_default=False, default=False)),
        migrations.RunSQL(DO, UNDO),
    ]
