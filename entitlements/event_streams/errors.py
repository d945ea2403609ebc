"""What is refused about streams of security events."""

from __future__ import annotations

from http import HTTPStatus

from entitlements.errors import DomainError


class ReceiverTaken(DomainError):
    """A receiver with this name exists, or existed. Choose another name."""

    code, status = "event_receiver_taken", HTTPStatus.CONFLICT


class ReceiverEnded(DomainError):
    """The receiver was ended before."""

    code, status = "event_receiver_ended", HTTPStatus.CONFLICT


class BadHost(DomainError):
    """The host for pushes is a name, with a port if it is another than 443, and nothing else."""

    code, status = "event_receiver_bad_host", HTTPStatus.UNPROCESSABLE_ENTITY


class BadStream(DomainError):
    """The configuration of the stream is not one that this transmitter offers."""

    code, status = "event_stream_malformed", HTTPStatus.BAD_REQUEST


class TooManyStreams(DomainError):
    """The receiver has as many streams as it may have. Delete one, or change one that is there."""

    code, status = "event_stream_limit", HTTPStatus.CONFLICT


class StreamUnchanged(DomainError):
    """The stream has this status already."""

    code, status = "event_stream_unchanged", HTTPStatus.CONFLICT


class VerifiedTooOften(DomainError):
    """A verification of this stream was asked for a moment ago. Wait for min_verification_interval seconds."""

    code, status = "event_stream_verified_too_often", HTTPStatus.TOO_MANY_REQUESTS


class PollSetAlready(DomainError):
    """The issuer is polled already. End that first."""

    code, status = "signal_poll_set_already", HTTPStatus.CONFLICT


class PollEnded(DomainError):
    """The poll was ended before."""

    code, status = "signal_poll_ended", HTTPStatus.CONFLICT


class NoSignalIssuer(DomainError):
    """Only an issuer that two people trust for security events can be polled."""

    code, status = "signal_poll_issuer_unknown", HTTPStatus.UNPROCESSABLE_ENTITY


class BadPollSecret(DomainError):
    """Give the token of the stream, or a token endpoint with a client, its secret and no spaces in it."""

    code, status = "signal_poll_bad_secret", HTTPStatus.UNPROCESSABLE_ENTITY
