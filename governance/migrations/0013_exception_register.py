"""The exception register is a view (`exceptions/sql/exception_register.sql`): Django learns of it, no table is made."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Name the view and its key; migrations make none of its columns."""

    dependencies: ClassVar = [("governance", "0012_ticket_references")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="RegisteredException",
            fields=[("key", models.CharField(max_length=64, primary_key=True, serialize=False))],
            options={"db_table": "governance_exceptionregister", "managed": False},
        ),
    ]
