"""Where the demo's processes listen, their settings, and how each is started."""

from __future__ import annotations

import os
import socket
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scripts.demo.servers.processes import DemoError, Process

ROOT = Path(__file__).resolve().parents[3]
VAR = Path(os.environ.get("DEMO_FOLDER") or ROOT / "var").resolve()
"""Where the demo keeps its state; tests give it a folder of their own."""
LOOPBACK = "127.0.0.1"
SERVING = {"MIGRATE_DATABASE_URL": "", "SEAL_DATABASE_URL": ""}
"""As in production: what serves holds neither the owner's nor the sealer's key to the database."""
SITE = "scripts.demo.site.settings"
"""The settings of the web process: the product's, and the visit around its pages."""
PORTS = {"CONSOLE_PORT": 8000, "GATEWAY_PORT": 8001, "SAMPLE_PORT": 8100}
SAMPLES = ("time", "git")
"""The local servers, which the gateway starts (`packages.py`)."""
WEB = "governance.web:application"
HEADERS = ("--http", "1", "--http1-header-read-timeout", "10000", "--backlog", "4096")
"""granian's deadline for headers (milliseconds), which HTTP/2 has not, and how many connections it keeps."""
FRONT = ("--interface", "asgi", "--no-ws", *HEADERS)
"""How the web process is served: `governance/front.py` reads bodies and has its own threads."""


@dataclass(frozen=True)
class Layout:
    """The ports of one demo; each name is `localhost`, since browsers refuse passkeys on an address literal."""

    console_port: int
    gateway_port: int
    sample_port: int
    nodes: int = 1

    @classmethod
    def from_environment(cls, nodes: int) -> Layout:
        """Read the ports from CONSOLE_PORT, GATEWAY_PORT and SAMPLE_PORT. Raises DemoError for a bad one."""
        try:
            console, gateway, sample = (int(os.environ.get(name, usual)) for name, usual in PORTS.items())
        except ValueError as problem:
            message = f"A port must be a number ({', '.join(PORTS)}): {problem}"
            raise DemoError(message) from problem
        return cls(console, gateway, sample, nodes)

    @property
    def console(self) -> str:
        """The public address of console, API and token endpoints."""
        return f"http://localhost:{self.console_port}"

    @property
    def gateway(self) -> str:
        """The public address of the gateway: the first node's."""
        return f"http://localhost:{self.gateway_port}"

    @property
    def stub_issuer(self) -> str:
        """The stub identity provider's issuer."""
        return f"http://localhost:{self.sample_port}"

    @property
    def office_port(self) -> int:
        """Where the company's own systems listen."""
        return self.sample_port + 1

    @property
    def office(self) -> str:
        """Their address."""
        return f"http://localhost:{self.office_port}"

    def gateway_ports(self) -> range:
        """Return the port of each gateway node."""
        return range(self.gateway_port, self.gateway_port + self.nodes)

    def listens(self) -> Iterator[tuple[int, str]]:
        """Yield every port with the variable that moves it."""
        yield self.console_port, "CONSOLE_PORT"
        yield from ((port, "GATEWAY_PORT") for port in self.gateway_ports())
        yield from ((self.sample_port + n, "SAMPLE_PORT") for n in range(2))

    def check_ports(self) -> None:
        """Raise DemoError when two parts would share a port, or something else listens on one."""
        taken: dict[int, str] = {}
        for port, variable in self.listens():
            if other := taken.get(port):
                message = f"Port {port} is meant for two parts: move {other} or {variable}."
                raise DemoError(message)
            taken[port] = variable
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((LOOPBACK, port))
                except OSError as problem:
                    message = f"Port {port} is taken; set {variable} to move it."
                    raise DemoError(message) from problem


def settings(layout: Layout, stack: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the environment of the product's processes."""
    return {
        **stack,
        "DJANGO_SETTINGS_MODULE": "governance.settings",
        "CONSOLE_URL": layout.console,
        "GATEWAY_URL": layout.gateway,
        "ALLOWED_HOSTS": "localhost",
        "ANCHOR_FILE": str(anchor(folder)),
        "SEAL_KEY_FILE": str(seal_key(folder)),
        "DEMO": "1",
        "DEMO_RUN": str(folder),
        "PYTHONUNBUFFERED": "1",
    }


def anchor(folder: Path) -> Path:
    """Return the file that stands for a place elsewhere, where signed checkpoints are published."""
    return folder / "anchor.txt"


def verifier_key(folder: Path) -> Path:
    """Return the file with the sealer's public key, which a verifier of the record pins."""
    return folder / "seal-key.vkey"


def seal_key(folder: Path) -> Path:
    """Make the sealer's Ed25519 key for this world, unless it is there, and return where it lies."""
    path = folder / "seal-key.pem"
    if path.exists():
        return path
    formats = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.touch(mode=0o600)
    path.write_bytes(Ed25519PrivateKey.generate().private_bytes(*formats))
    return path


def program(name: str) -> str:
    """Return the path of a command that a package of this environment brought."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def manage(verb: str, *arguments: str, name: str = "") -> Process:
    """Return a management command as a process."""
    return Process(name or verb, [sys.executable, str(ROOT / "manage.py"), verb, *arguments])


def stub_idp(layout: Layout) -> Process:
    """Return the stub identity provider."""
    stub = [sys.executable, "-m", "scripts.demo.servers.stub_idp", "--port", str(layout.sample_port)]
    return Process("stub-idp", stub, f"{layout.stub_issuer}/healthz")


def office(layout: Layout, secret: str, *, has_drifted: bool = False) -> Process:
    """Return the process that serves the company's systems, before or after their drift."""
    command = [sys.executable, "-m", "scripts.demo.servers.office", "--port", str(layout.office_port)]
    command += ["--drifted"] if has_drifted else []
    return Process("office", command, f"{layout.office}/healthz", {"UPSTREAM_SECRET": secret})


def product(layout: Layout) -> Iterator[Process]:
    """Yield the product's own processes, as they run in production but for the numbers."""
    web = [program("granian"), *FRONT, "--host", LOOPBACK, "--port", str(layout.console_port), WEB]
    yield Process("web", web, f"{layout.console}/healthz", {**SERVING, "DJANGO_SETTINGS_MODULE": SITE})
    for number, port in enumerate(layout.gateway_ports(), start=1):
        gateway = [sys.executable, "-m", "governance.edge", "--host", LOOPBACK, "--port", str(port)]
        gateway += ["--stop-seconds", "2"]
        name = f"gateway-{number}"
        yield Process(name, gateway, f"http://localhost:{port}/healthz", {**SERVING, "NODE_ID": name})
    yield manage("seal", name="sealer")
    celery = [program("celery"), "-A", "governance.celery"]
    worker = [*celery, "worker", "--concurrency", "1", "--without-mingle", "--without-gossip", "--without-heartbeat"]
    yield Process("worker", worker, environment=SERVING)
    beat = [*celery, "beat", "--scheduler", "celery.beat:Scheduler", "--pidfile", ""]
    yield Process("beat", beat, environment=SERVING)
