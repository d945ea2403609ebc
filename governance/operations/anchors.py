"""Anchors beside the file: a bucket of an object storage, and an address to which notes are posted."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import ClassVar, Final
from urllib.parse import urlencode, urlsplit

from audit import clock
from audit.seals.anchors import Anchor
from entitlements.errors import DomainError
from entitlements.upstream import egress, sigv4
from governance import env

_NOTES: Final = "checkpoints"
_LAST_NUMBER: Final = 10**12
_AT_ONCE: Final = 100
_THREADS: Final = 16
_KEY: Final = re.compile(r"<Key>([^<]*)</Key>")
_OURS: Final = re.compile(r"[a-z.]+-(\d{12})-[0-9a-f]{16}")


class AnchorRefused(OSError):
    """The anchor answered otherwise than it should."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, by the protocol of S3: each note is an object, none is ever written twice.

    Keys count down, so that the newest note is the first of a list.
    """

    url: str
    signer: sigv4.Signer
    name: str = _NOTES
    is_readable: ClassVar[bool] = True

    def __str__(self) -> str:
        return self.url

    def last(self) -> str:
        """Read the newest object."""
        return next((self._read(key) for key in self._keys(1)), "")

    def notes(self) -> Iterator[str]:
        """Read some at once, as they are asked for."""
        after = ""
        with ThreadPoolExecutor(_THREADS) as pool:
            while keys := self._keys(_AT_ONCE, after):
                yield from pool.map(self._read, keys)
                after = keys[-1]

    def beside(self, name: str) -> Bucket:
        """Name the objects under another prefix."""
        return replace(self, name=f"{self.name}.{name}")

    def publish(self, note: str) -> None:
        """Write an object that stands before the others. Two sealers write two."""
        number = next((int(_OURS.fullmatch(key)[1]) for key in self._keys(1)), _LAST_NUMBER)  # type: ignore[index]
        digest = hashlib.sha256(note.encode()).hexdigest()[:16]
        self._ask("PUT", f"{self.name}-{number - 1:012}-{digest}", body=note.encode())

    def _keys(self, most: int, after: str = "") -> list[str]:
        options = {"list-type": "2", "max-keys": str(most), "prefix": f"{self.name}-"}
        query = urlencode(sorted({**options, **({"start-after": after} if after else {})}.items()))
        keys = _KEY.findall(self._ask("GET", "", query).decode())
        if not all(_OURS.fullmatch(key) for key in keys):
            raise AnchorRefused(f"{self.url} holds an object {self.name}-... that is not ours")
        return keys

    def _read(self, key: str) -> str:
        return self._ask("GET", key).decode()

    def _ask(self, method: str, key: str, query: str = "", body: bytes = b"") -> bytes:
        url = f"{self.url}/{key}"
        parts = urlsplit(url)
        host = (("Host", parts.netloc),)
        signed = sigv4.sign(sigv4.Request(method, parts.path, query, host, body), self.signer, clock.now())
        answer = _sent(method, f"{url}?{query}" if query else url, body or None, signed.headers)
        return answer.body


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that takes each note by POST, and says with a status of 200 to 299 that it is kept."""

    url: str
    token: str = field(repr=False)
    name: str = _NOTES
    is_readable: ClassVar[bool] = False

    def __str__(self) -> str:
        return self.url.partition("?")[0]

    def last(self) -> str:
        """Return nothing: what it took is in the database alone (`stops.newest`)."""
        return ""

    def notes(self) -> Iterator[str]:
        """Return nothing: its receiver has them in a file."""
        return iter(())

    def beside(self, name: str) -> Webhook:
        """Name the file to which the receiver appends."""
        return replace(self, name=f"{self.name}.{name}")

    def publish(self, note: str) -> None:
        """Post it, with the name of the file to which it is to be appended, an empty line after it."""
        token = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers = {"Content-Type": "text/plain; charset=utf-8", "Mandate-File": self.name, **token}
        _sent("POST", self.url, note.encode(), headers)


def elsewhere() -> list[Anchor]:
    """Return the anchors that the environment names beside the file. Raises BadEnvironmentError."""
    found: list[Anchor] = []
    if url := env.outside("ANCHOR_BUCKET_URL"):
        key = (env.text("ANCHOR_BUCKET_ACCESS_ID"), env.secret("ANCHOR_BUCKET_SECRET", at_least=1).reveal())
        found.append(Bucket(url.rstrip("/"), sigv4.Signer(*key, env.text("ANCHOR_BUCKET_REGION"), "s3")))
    if url := env.outside("ANCHOR_WEBHOOK_URL"):
        found.append(Webhook(url, env.secret("ANCHOR_WEBHOOK_TOKEN").reveal()))
    return found


def _sent(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> egress.Answer:
    try:
        answer = asyncio.run(egress.request(method, url, body, headers, largest=egress.LARGEST_DOCUMENT))
    except DomainError as problem:
        raise AnchorRefused(problem.message) from problem
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        raise AnchorRefused(f"{urlsplit(url).hostname} answered {answer.status}")
    return answer
