"""Vendors with an authorization server of their own, and the names that people have there."""

from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

_JOINS = [("our_issuer", "It trusts Mandate's issuer"), ("company_provider", "It trusts only the company's identity provider")]
_SUBJECTS = [
    ("pairwise", "A pairwise identifier, made for this vendor alone"),
    ("login", "The login"),
    ("email", "The mail address"),
    ("stored", "A stored name for each person"),
]
_SCOPE_NAMES = [("whole", "As here, with the system's name"), ("bare", "Without the system's name")]
_KEY = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")


class Migration(migrations.Migration):
    """Add two tables, which the release before does not know."""

    dependencies: ClassVar = [("entitlements", "0014_bound_and_delegated_tokens")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Vendor",
            fields=[
                ("id", _KEY),
                ("issuer", models.CharField(max_length=500)),
                ("resources", models.JSONField()),
                ("joins", models.CharField(choices=_JOINS, max_length=24)),
                ("issues", models.BooleanField(default=True)),
                ("subjects", models.CharField(choices=_SUBJECTS, max_length=16)),
                ("scope_names", models.CharField(choices=_SCOPE_NAMES, default="whole", max_length=8)),
                ("extra_claims", models.JSONField(blank=True, default=list)),
                ("salt", models.CharField(max_length=64)),
                ("test_client_id", models.CharField(blank=True, default="", max_length=300)),
                ("test_secret", models.BinaryField(blank=True, null=True)),
                ("test_fingerprint", models.CharField(blank=True, default="", max_length=16)),
                ("trust_test", models.JSONField(blank=True, null=True)),
                ("tested_at", models.DateTimeField(blank=True, null=True)),
                ("system", models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name="vendor", to="entitlements.system")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["issuer"], name="an_issuer_is_the_server_of_one_vendor"),
                    models.CheckConstraint(condition=~models.Q(issuer=""), name="a_vendor_has_an_issuer"),
                ]
            },
        ),
        migrations.CreateModel(
            name="VendorSubject",
            fields=[
                ("id", _KEY.clone()),
                ("subject", models.CharField(max_length=255)),
                ("person", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("vendor", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="people", to="entitlements.vendor")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["vendor", "person"], name="a_person_has_one_name_at_a_vendor"),
                    models.UniqueConstraint(fields=["vendor", "subject"], name="a_name_at_a_vendor_is_of_one_person"),
                    models.CheckConstraint(condition=~models.Q(subject=""), name="a_name_at_a_vendor_is_not_empty"),
                ]
            },
        ),
    ]
