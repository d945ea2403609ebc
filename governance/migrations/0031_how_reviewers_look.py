"""When the evidence of an item was first on its reviewer's screen, and for how long it had her attention."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("governance", "0030_staged_campaigns")]

    operations = [
        migrations.AddField(
            model_name="assignment",
            name="evidence_opened_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="assignment",
            name="dwell_ms",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
    ]
