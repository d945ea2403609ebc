"""A receiver with a stream, and a stream of a trusted issuer that is polled, for the pages of the console."""

from __future__ import annotations

from entitlements.event_streams import poll_settings, profile, receivers, streams
from entitlements.trusted_issuers.models import TrustedIssuer
from tests.governance.companies import Company


def of(company: Company) -> dict[str, object]:
    """Make each."""
    given = {"audience": "https://partner.example", "push_host": "", "subject_format": "iss_sub"}
    receiver = receivers.register("partner", by=company.ana, reason="a sample", **given).receiver
    stream = streams.create(receiver, streams.Terms(events=profile.SUPPORTED))
    issuer = TrustedIssuer.objects.create(
        issuer="https://signals.example.org", purpose="signals", sends_signals=True, jwks={"keys": []}
    )
    poll = poll_settings.set_poll(
        issuer.issuer,
        endpoint_url="https://signals.example.org/poll",
        secret="a-sample-of-a-token",
        by=company.ana,
        reason="a sample",
    )
    return {
        "settings/event-streams/receivers/receiver": receiver.pk,
        "settings/event-streams/stream": stream.pk,
        "settings/event-streams/polls/poll": poll.pk,
    }
