"""A denied signing key keeps when it was denied, and since when what it signed is in doubt. Only adds."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Two columns and the rule of one; the release before leaves them empty."""

    dependencies: ClassVar = [("entitlements", "0019_codes_know_when_the_person_signed_in")]
    operations: ClassVar = [
        migrations.AddField("signingkey", "withdrawn_at", models.DateTimeField(null=True, blank=True)),
        migrations.AddField("signingkey", "compromised_since", models.DateTimeField(null=True, blank=True)),
        migrations.AddConstraint(
            "signingkey",
            models.CheckConstraint(
                name="only_a_denied_key_is_compromised", condition=Q(compromised_since=None) | Q(state="withdrawn")
            ),
        ),
    ]
