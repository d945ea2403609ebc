"""The audience of an ID-JAG: a server of ours or a vendor's own, the client's name there, and the claims for it."""

from __future__ import annotations

from entitlements import addresses
from entitlements.clients import callers
from entitlements.clients.callers import Caller, Target
from entitlements.edge import door, refusals
from entitlements.edge.door import Attempt
from entitlements.tokens.issue import Subject
from entitlements.vendors import targets
from entitlements.vendors.rules import Refusal


async def find(attempt: Attempt, caller: Caller) -> tuple[Target, str]:
    """Find the system whose issuer the audience is, compared byte by byte (EMA-I-2), and the client's name there.

    Where a vendor has a server of its own, none of ours stands in for it. Raises Refused.
    """
    audience, prefix = attempt.form["audience"], addresses.issuer("as/")
    target: Target | None
    if audience.startswith(prefix):
        target, name = await callers.find_target(attempt.reads, audience.removeprefix(prefix), caller)
    else:
        target, name = await targets.find(attempt.reads, audience, caller)
    if target is None or target.issuer != audience:
        raise refusals.invalid_target("The audience is not a resource authorization server that is registered here.")
    attempt.about.append(f"system:{target.slug}")
    attempt.ask = door.request_link(caller.agent, target.slug)
    _check(target, name)
    return target, name


async def name_at(attempt: Attempt, target: Target, caller: Caller) -> str:
    """Find another client's name at a target that was found. Raises Refused."""
    if isinstance(target, targets.VendorTarget):
        _, name = await targets.find(attempt.reads, target.issuer, caller)
    else:
        _, name = await callers.find_target(attempt.reads, target.slug, caller)
    _check(target, name)
    return name


def _check(target: Target, name: str) -> None:
    if isinstance(target, targets.VendorTarget):
        _check_vendor(target, name)
    elif not name:
        raise refusals.invalid_target("The client's identifier means another client there.", "client_name_taken")


def _check_vendor(target: targets.VendorTarget, name: str) -> None:
    """Refuse a vendor for which nothing is issued, and a client that its server does not know. Raises Refused."""
    match target.refusal:
        case Refusal.PROVIDER:
            raise refusals.invalid_target(
                "The vendor trusts only the company's identity provider, so Mandate issues nothing for it.",
                "vendor_trusts_provider",
            )
        case Refusal.OFF:
            raise refusals.invalid_target(
                "Issuing for this vendor is switched off. The system's owner can switch it on.", "vendor_switched_off"
            )
    if not name:
        raise refusals.invalid_target(
            "The vendor's server knows the client by no identifier. The system's owner can enter it.",
            "client_not_named",
        )


async def with_claims(attempt: Attempt, target: Target, person: Subject) -> Target:
    """Return the target with the person's claims for its server. Raises Refused where it knows no name of them."""
    with_person = await targets.for_person(attempt.reads, target, person.pk, person.login)
    if with_person is None:
        raise refusals.Refused(
            "access_denied",
            "vendor_subject_missing",
            "The vendor knows the person by no name. The system's owner can enter it.",
        )
    return with_person
