"""That nothing of a review is ever deleted, whichever table it is in and whoever speaks to the database."""

from __future__ import annotations

import psycopg
import pytest
from django.apps import apps

from governance.reviews.campaigns.models import Campaign
from governance.reviews.items.models import AssignmentTally, ItemTally
from governance.reviews.staging.models import SnapshotRow
from governance.reviews.templates.models import CampaignTemplate
from tests import databases

pytestmark = pytest.mark.django_db
SUMS = {ItemTally._meta.db_table, AssignmentTally._meta.db_table}
"""Counts of what is kept elsewhere: rows that count the same are put together, and a recount makes them again."""
ASIDE = {SnapshotRow._meta.db_table}
"""What waits to become items is no part of a review yet, and is taken from here when it does."""


def _of_reviews() -> set[str]:
    """Name the tables that hold something of a campaign: its own, and whatever points at one of those."""
    found, models = {Campaign._meta.db_table}, list(apps.get_app_config("governance").get_models())
    while (
        more := {
            model._meta.db_table
            for model in models
            for field in model._meta.concrete_fields
            if field.remote_field and field.remote_field.model._meta.db_table in found
        }
        - found
    ):
        found |= more
    return found - SUMS - ASIDE | {CampaignTemplate._meta.db_table}


def test_no_role_deletes_anything_of_a_review_whichever_table_it_is_in(roles: databases.Addresses) -> None:
    before_each_delete = 1 | 2 | 8  # of pg_trigger.tgtype: each row, before, on delete
    with psycopg.connect(roles.owner) as owner:
        kept = owner.execute(
            "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE tgenabled = 'O' AND tgtype & %s = %s",
            [before_each_delete, before_each_delete],
        )
        assert _of_reviews() - {name for (name,) in kept} == set()
    with psycopg.connect(roles.app) as app, psycopg.connect(roles.seal) as seal:
        for table in _of_reviews():
            for held, right in ((app, "TRUNCATE"), (seal, "SELECT, INSERT, UPDATE, DELETE, TRUNCATE")):
                told = held.execute("SELECT has_table_privilege(%s, %s)", [table, right]).fetchone()
                assert told == (False,), (table, right)
