"""What pages and the API read of vendors."""

from __future__ import annotations

from entitlements import addresses
from entitlements.catalog.models import System
from entitlements.clients.models import ClientAlias
from entitlements.vendors.models import Vendor


def vendor_of(system: System) -> Vendor | None:
    """Return a system's vendor, if it has one."""
    return getattr(system, "vendor", None)


def issuer_of(system: System) -> str:
    """Return the issuer of a system's tokens: its vendor's own, or one of ours."""
    vendor = vendor_of(system)
    return addresses.issuer(addresses.issuer_path(system.slug)) if vendor is None else vendor.issuer


def client_ids(system: System) -> dict[str, str]:
    """Return the clients' identifiers at a system's server, by ours."""
    rows = ClientAlias.objects.filter(system=system).order_by("client__client_id")
    return dict(rows.values_list("client__client_id", "foreign_id"))
