from __future__ import annotations

from typing import TYPE_CHECKING

from tests import shared

if TYPE_CHECKING:
    from tests.entitlements.workload_identity import company


def _company() -> company.Company:
    from tests.entitlements.workload_identity import company  # noqa: PLC0415 - the settings are known only now

    return company.company()


made_world, company = shared.world(_company)
