"""The settings of a credential that opens an upstream, as people see them, and the kinds that have some."""

from typing import ClassVar

from django.db import migrations, models

_KINDS = [("bearer", "Bearer token"), ("header", "Header"), ("basic", "User name and password")]
_KINDS += [("oauth_client", "OAuth client credentials"), ("jwt_bearer", "JWT bearer grant")]
_KINDS += [("aws_sigv4", "AWS Signature Version 4")]


class Migration(migrations.Migration):
    """A constant default: nothing is rewritten, and the table is small."""

    dependencies: ClassVar = [("entitlements", "0024_rest_systems")]
    operations: ClassVar = [
        migrations.AddField("secret", "settings", models.JSONField(db_default={}, default=dict)),
        migrations.AlterField("secret", "kind", models.CharField(choices=_KINDS, default="bearer", max_length=16)),
    ]
