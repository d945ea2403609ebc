"""A real OpenBao with a transit engine, over TLS, and a token that may do what `docs/operate/keys.md` says."""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entitlements.signers.options import TransitOptions
from scripts.devservers import free_port
from tests import waits
from tests.architecture import tree
from tests.conformance import servers

MOUNT = "transit"


@dataclass
class Bao:
    """A running server. `token` is what Mandate has; the root token sets the server up and nothing else."""

    port: int
    ca: str
    root: str
    process: subprocess.Popen[bytes]
    token: str = ""

    @property
    def options(self) -> TransitOptions:
        """Return how a signer reaches it; each request for the token gives the one of now."""
        return TransitOptions(f"https://127.0.0.1:{self.port}", MOUNT, "", self.ca, lambda: self.token)

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Ask as the administrator."""
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.port}/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Vault-Token": self.root},
        )
        trusted = ssl.create_default_context(cafile=self.ca)
        with urllib.request.urlopen(request, context=trusted, timeout=waits.SECONDS) as answer:  # noqa: S310 - as above
            said = answer.read()
        found: dict[str, Any] = json.loads(said) if said else {}
        return found

    def names(self) -> set[str]:
        """Return the names of the keys that are there."""
        with contextlib.suppress(urllib.error.HTTPError):
            return set(self.ask("LIST", f"{MOUNT}/keys")["data"]["keys"])
        return set()

    def new_token(self) -> str:
        """Make a token of the policy that the documentation gives, and end the one before."""
        if self.token:
            self.ask("POST", "auth/token/revoke", {"token": self.token})
        self.token = str(self.ask("POST", "auth/token/create", {"policies": ["mandate"]})["auth"]["client_token"])
        return self.token


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Bao]:
    """Run one until the block ends; `folder` keeps its certificates."""
    port = free_port()
    command = [servers.program("bao"), "server", "-dev", "-dev-tls", f"-dev-tls-cert-dir={folder}"]
    command += ["-dev-root-token-id=root", f"-dev-listen-address=127.0.0.1:{port}", "-dev-no-store-token"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            authority = folder / "vault-ca.pem"
            bao = Bao(port, str(authority), "root", process)
            _wait(bao)
            bao.ask("POST", f"sys/mounts/{MOUNT}", {"type": "transit"})
            bao.ask("PUT", "sys/policies/acl/mandate", {"policy": policy()})
            bao.new_token()
            yield bao
        finally:
            process.kill()


def policy() -> str:
    """Return the policy that operators are told to write."""
    page = (tree.ROOT / "docs/operate/keys.md").read_text()
    return page[page.index('path "transit') :].partition("```")[0]


def _wait(bao: Bao) -> None:
    def answers() -> bool:
        try:
            bao.ask("GET", "sys/health")
        except OSError:
            return False
        return True

    waits.until(answers)
