"""Which events of the record the evidence lists as changes to rules and rights."""

from __future__ import annotations

from governance.reviews.pack import period


def test_what_decides_who_answers_and_who_is_believed_counts_as_configuration() -> None:
    counts = {
        *("agent.criticality_changed", "agent.sponsor_changed", "api_token.made", "approval_policy.published"),
        *("campaign_template.changed", "entitlement.edited", "evidence.shared", "group.joined", "issuer.trusted"),
        *("key_encryption_key.replaced", "people_source.disabled", "person.role_assigned", "role_mapping.confirmed"),
        *("secret.set", "system.edited", "tool.approved", "webhook.made"),
    }
    assert counts - set(period.CONFIGURATION) == set()
    for name in ("call.allowed", "grant.issued", "token.issued", "review.decided", "evidence.looked_at", "tool.found"):
        assert name not in period.CONFIGURATION
