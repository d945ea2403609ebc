"""The rows and the spoiled worlds are worth something: no small mistake survives them."""

import pytest

from tests.entitlements import mutants
from tests.entitlements.mutants import MUTANTS, Mutant


def test_the_real_rules_have_nothing_to_complain_about() -> None:
    with mutants.alive(None) as modules:
        assert list(mutants.complaints(*modules)) == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.module}-{MUTANTS.index(mutant)}")
def test_every_mutant_dies(mutant: Mutant) -> None:
    with mutants.alive(mutant) as modules:
        try:
            killed = next(mutants.complaints(*modules), None)
        except Exception as crash:  # noqa: BLE001 - a mutant that cannot run is dead as well
            killed = repr(crash)

    assert killed is not None, f"{mutant.module}: {mutant.old!r} became {mutant.new!r}, and nothing noticed"
