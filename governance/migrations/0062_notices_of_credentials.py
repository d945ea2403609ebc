"""Notices tell of credentials of agents. Only adds."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """One more kind."""

    dependencies: ClassVar = [("governance", "0061_one_mailbox_is_one_human")]
    operations: ClassVar = [
        migrations.AlterField(
            "notice",
            "kind",
            models.CharField(
                choices=[
                    ("request_waiting", "A request waits for me"),
                    ("request_decided", "A request of mine was answered or narrowed"),
                    ("grant_ending", "Access is about to end"),
                    ("grant_revoked", "Access was taken back"),
                    ("agent_stopped", "An agent of mine was stopped"),
                    ("tool_quarantined", "A tool changed and was stopped"),
                    ("office_proposed", "I am asked to answer for an agent"),
                    ("credential", "A credential of an agent of mine waits or changed"),
                    ("delegated", "Somebody answers in another's place"),
                    ("emergency", "Access was given in an emergency"),
                    ("review_waiting", "A review waits for me"),
                    ("setup_lost", "Part of the set-up no longer works"),
                ],
                max_length=32,
            ),
        )
    ]
