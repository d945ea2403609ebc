"""What a sponsor accepted of an adoption, so that nothing else is adopted in their name."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("governance", "0027_scopes_kinds_and_carrying_forward")]

    operations = [
        migrations.AddField(
            model_name="adoptedagent",
            name="accepted",
            field=models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
    ]
