"""Indexes by which lists of agents and grants are read in their orders."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the indexes: at 1,000,000 grants, changes of grants wait for about a second meanwhile, and nothing else."""

    dependencies: ClassVar = [("entitlements", "0023_tickets_of_revocations")]

    operations: ClassVar = [
        migrations.AddIndex("agent", models.Index(fields=["name", "id"], name="agent_page")),
        migrations.AddIndex("agent", models.Index(fields=["created_at", "id"], name="agent_page_by_age")),
        migrations.AddIndex("person", models.Index(fields=["name", "id"], name="person_page")),
        migrations.AddIndex("grant", models.Index(fields=["expires_at", "id"], name="grant_page_by_end")),
    ]
