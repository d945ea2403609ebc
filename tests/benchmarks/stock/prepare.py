"""Migrate the anchor's database and register two clients: one secret hashed as by default, one compared as it is."""

from django.core.management import call_command
from oauth2_provider.models import Application


def main() -> None:
    call_command("migrate", verbosity=0, interactive=False)
    for name, is_hashed in (("hashed", True), ("plain", False)):
        Application.objects.create(
            client_id=name,
            client_secret="not-a-secret-of-anybody",
            hash_client_secret=is_hashed,
            client_type=Application.CLIENT_CONFIDENTIAL,
            authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
        )
