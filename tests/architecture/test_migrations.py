"""The migrations say what the models say: a check that only `make lint` ran was missed once."""

import pytest
from django.core.management import call_command


@pytest.mark.django_db
def test_no_model_is_ahead_of_its_migrations() -> None:
    call_command("makemigrations", check=True, dry_run=True)
