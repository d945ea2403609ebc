"""Who owned an agent when the population was taken answers nothing in a review of whose the agents are, either.

Only adds. The release before asks her where the chain comes to her, and is refused her answer.
"""

from importlib import import_module
from typing import ClassVar

from django.db import migrations

_BEFORE = import_module("governance.migrations.0053_who_is_asked_last").DO
UNDO = _BEFORE[: _BEFORE.index("CREATE FUNCTION governance_is_asked_last")]
_OF_GRANTS = "p.item_id = asked AND p.grant_id IS NOT NULL AND o.id"
_OF_AGENTS_TOO = """p.item_id = asked AND (p.grant_id IS NOT NULL
                   OR EXISTS (SELECT FROM governance_reviewitem i WHERE i.id = asked AND i.subject_kind = 'agent')) AND o.id"""
DO = UNDO.replace(_OF_GRANTS, _OF_AGENTS_TOO)


class Migration(migrations.Migration):
    """The function that triggers on answers call."""

    dependencies: ClassVar = [("governance", "0058_packs_with_a_time_stamp")]
    operations: ClassVar = [migrations.RunSQL(DO, UNDO)]
