"""A server of S3's protocol, which checks each signature and permission: moto's, where it is installed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import requests

from audit import clock
from entitlements.upstream import sigv4
from scripts.devservers import free_port
from tests import waits

SERVER = shutil.which("moto_server")
_POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


@dataclass
class Storage:
    """Where it is, and the key that it knows."""

    url: str
    key_id: str = "nobody"
    secret: str = "none"

    @property
    def signer(self) -> sigv4.Signer:
        return sigv4.Signer(self.key_id, self.secret, "us-east-1", "s3")

    def send(self, method: str, path: str = "/", body: bytes = b"", service: str = "s3") -> str:
        """Send a request that is signed without the product's own client."""
        headers = (("Host", urlsplit(self.url).netloc),)
        signer = sigv4.Signer(self.key_id, self.secret, "us-east-1", service)
        signed = sigv4.sign(sigv4.Request(method, path, "", headers, body), signer, clock.now())
        form = {"Content-Type": "application/x-www-form-urlencoded"} if service != "s3" else {}
        answer = requests.request(
            method, self.url + path, data=body, headers={**form, **signed.headers}, timeout=waits.SECONDS
        )
        assert answer.ok, answer.text
        return answer.text

    def account(self, action: str, **fields: str) -> str:
        """Do something as the administrator of the accounts."""
        body = urlencode({"Action": action, "Version": "2010-05-08", "UserName": "sealer", **fields}).encode()
        return self.send("POST", body=body, service="iam")

    def bucket(self, name: str) -> str:
        """Make a bucket; returns its address."""
        self.send("PUT", f"/{name}")
        return f"{self.url}/{name}"


@contextlib.contextmanager
def standing(folder: Path) -> Iterator[Storage]:
    """Start it with one key; whatever comes after is refused without a right signature."""
    assert SERVER
    storage = Storage(f"http://127.0.0.1:{(port := free_port())}")
    given = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "3"}
    with (folder / "storage.out").open("w") as output:
        child = subprocess.Popen([SERVER, "-p", str(port)], env=given, stdout=output, stderr=output)
    try:
        waits.until(lambda: _answers(storage), child)
        storage.account("CreateUser")
        storage.account("PutUserPolicy", PolicyName="all", PolicyDocument=json.dumps(_POLICY))
        said = storage.account("CreateAccessKey")
        storage.key_id, storage.secret = (
            str(re.findall(f"<{name}>([^<]*)<", said)[0]) for name in ("AccessKeyId", "SecretAccessKey")
        )
        yield storage
    finally:
        waits.stop(child)


def _answers(storage: Storage) -> bool:
    with contextlib.suppress(requests.ConnectionError):
        return requests.get(f"{storage.url}/moto-api/data.json", timeout=waits.A_TRY).ok
    return False
