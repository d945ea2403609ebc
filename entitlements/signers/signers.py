"""Which signer a key is of, and signing with it in either lane.

The name of its signer is in each key's row, so that keys of several go on side by side, and `make` says where
the next one is made. The event loop of the edge never waits for a signer outside: threads do, and no more requests than
these threads answer in time are let in.
"""

from __future__ import annotations

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from .database import DatabaseSigner
from .signer import NewKey, Signer, SignerUnreachable

THREADS: Final = 16
MOST_WAITING: Final = 512
"""Signatures of one process that are waited for. A signer that answers in 10 ms gives them within a third of a second;
of one that hangs the later requests are told at once."""


class Name(StrEnum):
    """The signers, as they are named in settings and rows."""

    DATABASE = "database"


@dataclass(frozen=True, slots=True)
class OwnKey:
    """One of our own keys as it is used: who it is, and what its signer needs, opened."""

    kid: str
    algorithm: str
    signer: str
    private: bytes = field(repr=False)


class _Waiting:
    """How many signatures this process waits for."""

    count = 0


def make(kid: str, algorithm: str) -> tuple[str, NewKey]:
    """Make a key at the signer of the settings; returns that signer's name too. Raises SignerUnreachable."""
    name = Name.DATABASE
    return name, named(name).make(kid, algorithm)


def sign_here(key: OwnKey, data: bytes) -> bytes:
    """Sign, and wait for it in this thread. Raises SignerUnreachable."""
    return named(key.signer).sign(key.kid, key.private, key.algorithm, data)


async def sign(key: OwnKey, data: bytes) -> bytes:
    """Sign without keeping an event loop waiting. Raises SignerUnreachable.

    Without a loop, in the lane of Django, this thread waits.
    """
    if not named(key.signer).is_remote:
        return sign_here(key, data)
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return sign_here(key, data)
    if _Waiting.count >= MOST_WAITING:
        raise SignerUnreachable
    _Waiting.count += 1
    try:
        return await loop.run_in_executor(_threads(), sign_here, key, data)
    finally:
        _Waiting.count -= 1


def destroy(key: OwnKey) -> None:
    """Forget a private key where it lies. Raises SignerUnreachable."""
    named(key.signer).destroy(key.kid, key.private)


@functools.cache
def named(name: str) -> Signer:
    """Return a signer by its name. Raises SignerUnreachable for one that is not set up here."""
    if name == Name.DATABASE:
        return DatabaseSigner()
    raise SignerUnreachable(signer=name)


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="signer")
