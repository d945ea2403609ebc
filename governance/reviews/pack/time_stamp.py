"""A time stamp on a pack (RFC 3161): a third party attests that its signed manifest existed at a moment.

It is requested where TIME_STAMP_URL is set. A person with our keys and our database could write a new pack, but not
with an earlier stamp.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final

from cryptography import x509
from django.conf import settings
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from entitlements.errors import DomainError
from entitlements.upstream import egress

TRIES: Final = 3
BETWEEN_SECONDS: Final = 2.0
LARGEST_ANSWER: Final = 64 * 1024
_HEADERS: Final = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}


class NoTimeStamp(DomainError):
    """The time-stamping authority gave no valid time stamp, so the evidence is not sealed. Try again later."""

    code, status = "time_stamp_unavailable", HTTPStatus.BAD_GATEWAY


@dataclass(frozen=True, slots=True)
class Stamp:
    """The authority's response as received (a TimeStampResp, RFC 3161, section 2.4.2), and its time."""

    content: bytes
    at: datetime


def stamp(message: bytes) -> Stamp | None:
    """Have a message stamped; None where no authority is configured. Only the message's digest leaves this machine.

    Raises NoTimeStamp after several tries where the response is missing, for another message, or not valid; at once
    where the authority's certificates cannot be read.
    """
    if not settings.TIME_STAMP_URL:
        return None
    try:
        roots = x509.load_pem_x509_certificates(Path(settings.TIME_STAMP_CA_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise NoTimeStamp(why="TIME_STAMP_CA_FILE holds no certificate that can be read.") from error
    for tries_left in reversed(range(TRIES)):
        try:
            return _stamped(message, roots)
        except (egress.Unreachable, egress.ForbiddenAddress, VerificationError, ValueError) as error:
            if not tries_left:
                raise NoTimeStamp(why=str(error) or type(error).__name__) from error
            time.sleep(BETWEEN_SECONDS)
    raise NoTimeStamp


def _stamped(message: bytes, roots: list[x509.Certificate]) -> Stamp:
    # It asks for a certificate, and carries a nonce. Every authority takes SHA-256.
    request = TimestampRequestBuilder().data(message).hash_algorithm(HashAlgorithm.SHA256).build()
    fetch = egress.fetch(settings.TIME_STAMP_URL, request.as_bytes(), _HEADERS, largest=LARGEST_ANSWER)
    content = asyncio.run(fetch)
    answer: TimeStampResponse = decode_timestamp_response(content)
    VerifierBuilder(nonce=request.nonce, roots=roots).build().verify_message(answer, message)
    return Stamp(content, answer.tst_info.gen_time)
