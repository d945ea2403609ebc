"""Each list begins at once, however long it is: its order is that of an index."""

from typing import ClassVar

from django.db import migrations, models

from entitlements.indexing import AddIndexUnderLoad

PAGES = {
    "grant": ("grant_page_of_state", ["state", "-created_at", "-id"]),
    "grantline": ("line_of_tool", ["tool", "grant"]),
    "session": ("session_page", ["-started_at", "-id"]),
    "issuedtoken": ("token_page", ["-issued_at", "-jti"]),
}


class Migration(migrations.Migration):
    """Build them while others write."""

    atomic = False
    dependencies: ClassVar = [("entitlements", "0009_roles_with_an_end")]
    operations: ClassVar = [
        AddIndexUnderLoad(model, models.Index(name=name, fields=fields)) for model, (name, fields) in PAGES.items()
    ]
