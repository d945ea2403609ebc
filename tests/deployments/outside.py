"""What stands around a real installation, on loopback: names with certificates, a proxy, mail, an MCP server."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations

from scripts.devservers import free_port
from tests import databases, waits
from tests.architecture import tree


def commands(page: str, heading: str) -> list[str]:
    """Return the commands that a page of docs/operate shows under a heading."""
    sections = re.split(r"^## ", (tree.ROOT / "docs/operate" / page).read_text(), flags=re.MULTILINE)
    block = next(part for part in sections if part.startswith(heading)).split("```sh\n")[1].split("```")[0]
    return [line for line in block.splitlines() if line.strip() and not line.startswith("#")]


class Runs(Protocol):
    """What runs a command where a service runs."""

    def run(self, name: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        ...


def collect_static(deployment: Runs) -> None:
    """Collect the static files, which all deployments of a test run share: the first one collects, the others wait."""
    folder = tree.ROOT / ".cache"
    folder.mkdir(exist_ok=True)
    with (folder / "collected").open("a+") as kept:
        fcntl.flock(kept, fcntl.LOCK_EX)
        kept.seek(0)
        if kept.read() != os.environ[databases.RUN]:
            done = deployment.run("web", ["python", "manage.py", "collectstatic", "--no-input", "--verbosity", "0"])
            assert done.returncode == 0, done.stderr
            kept.truncate(0)
            kept.write(os.environ[databases.RUN])


@dataclass(frozen=True)
class Certificates:
    """A certificate authority of this test's own, and one certificate of it for this machine."""

    authority: Path
    certificate: Path
    key: Path
    name: str = "localhost"

    def context(self) -> ssl.SSLContext:
        """Return what a server needs to speak TLS."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.certificate, self.key)
        return made

    def for_uvicorn(self) -> dict[str, str]:
        """Return the same in uvicorn's words."""
        return {"ssl_certfile": str(self.certificate), "ssl_keyfile": str(self.key)}


def certify(folder: Path, name: str = "localhost") -> Certificates:
    """Make them, for one host name, which must lead to this machine."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of a test")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begins, ends = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(days=1)

    def begin(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(authority_name).public_key(public)
        return made.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)

    usage = x509.KeyUsage(*(each in ("crl", "cert") for each in _USES))
    own_id = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = begin(authority_name, authority_key.public_key()).add_extension(x509.BasicConstraints(True, 0), True)  # noqa: FBT003
    authority = authority.add_extension(usage, critical=True).add_extension(own_id, critical=False)
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    leaf = begin(subject, key.public_key()).add_extension(names, critical=False).add_extension(signer, critical=False)
    made = Certificates(folder / "authority.pem", folder / "certificate.pem", folder / "key.pem", name)
    pem = serialization.Encoding.PEM
    made.authority.write_bytes(authority.sign(authority_key, hashes.SHA256()).public_bytes(pem))
    made.certificate.write_bytes(leaf.sign(authority_key, hashes.SHA256()).public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    made.key.write_bytes(private)
    return made


_USES = ("signature", "commitment", "keys", "data", "agreement", "cert", "crl", "encipher", "decipher")


# ------------------------------------------------------------------------------------------------------- the proxy


@contextlib.contextmanager
def proxy(certificates: Certificates, ports: dict[int, int], edge: int) -> Iterator[None]:
    """Do on loopback what deploy/Caddyfile does: end TLS and say so, dropping what a client claims. {port: behind}.

    The issuers' machine endpoints go to `edge`, whichever port they come to.
    """
    issuers = re.compile(_issuers())
    started, stopped = threading.Event(), threading.Event()

    async def serve() -> None:
        tls, servers = certificates.context(), []
        for port, behind in ports.items():
            servers.append(await asyncio.start_server(_handler(issuers, behind, edge), "localhost", port, ssl=tls))
        started.set()
        await asyncio.to_thread(stopped.wait)
        for server in servers:
            server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0.3)  # what was cancelled closes its connections

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert started.wait(waits.SECONDS)
    try:
        yield
    finally:
        stopped.set()
        thread.join(waits.SECONDS)


def _issuers() -> str:
    """Return the pattern of the paths that deploy/Caddyfile sends from the console's host to the edge."""
    said = (tree.ROOT / "deploy/Caddyfile").read_text()
    found = re.search(r"@issuers path_regexp (\S+)\n\s+reverse_proxy @issuers gateway:8001", said)
    assert found, "the proxy sends no machine endpoint to the edge"
    return found[1]


def _handler(issuers: re.Pattern[str], behind: int, edge: int):  # type: ignore[no-untyped-def]  # noqa: ANN202 - asyncio's own callback
    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened = [writer]
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            head = re.sub(r"(?im)^(connection|x-forwarded-\w+|forwarded):.*\r\n", "", head)
            head = head.replace("\r\n", "\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n", 1)
            path = head.split(" ", 2)[1].partition("?")[0]
            inward, outward = await asyncio.open_connection("127.0.0.1", edge if issuers.search(path) else behind)
            opened.append(outward)
            outward.write(head.encode("latin-1"))
            sending = asyncio.create_task(pipe(reader, outward))
            await pipe(inward, writer)
            sending.cancel()
        except (OSError, asyncio.IncompleteReadError):
            pass  # whoever called has gone
        finally:
            for each in opened:
                each.close()

    return handle


# -------------------------------------------------------------------------------------------------------- the mail


class _Mailbox(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    letters: list[str]
    context: ssl.SSLContext

    def get_request(self) -> tuple[ssl.SSLSocket, Any]:
        plain, address = super().get_request()
        return self.context.wrap_socket(plain, server_side=True), address


class _Postman(socketserver.StreamRequestHandler):
    """As much of SMTP (RFC 5321) as taking a message needs, over TLS from the start."""

    server: _Mailbox

    def handle(self) -> None:
        self.wfile.write(b"220 localhost\r\n")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                letter = b""
                while (part := self.rfile.readline()) not in (b".\r\n", b""):
                    letter += part
                self.server.letters.append(letter.decode())
            self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 localhost\r\n")
            if verb == b"QUIT":
                return


@contextlib.contextmanager
def mailbox(certificates: Certificates) -> Iterator[tuple[int, list[str]]]:
    """Take mail on a port; yields the port and the letters that came."""
    with _Mailbox((certificates.name, 0), _Postman) as server:
        server.letters, server.context = [], certificates.context()
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield int(server.server_address[1]), server.letters
        server.shutdown()


# -------------------------------------------------------------------------------------------------- the MCP server


@contextlib.contextmanager
def system(certificates: Certificates) -> Iterator[str]:
    """Serve two tools that only read, by the official SDK over https; yields its address."""
    server, port = MCPServer("clock"), free_port()

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def get_current_time(zone: str) -> str:
        """Get the current time of a time zone."""
        return f"It is noon in {zone}."

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def convert_time(time: str, zone: str) -> str:
        """Convert a time to another time zone."""
        return f"{time} in {zone}"

    app = server.streamable_http_app(host=certificates.name)
    serving = uvicorn.Server(
        uvicorn.Config(app, host=certificates.name, port=port, log_level="error", **certificates.for_uvicorn())  # type: ignore[arg-type]
    )
    thread = threading.Thread(target=serving.run, daemon=True)
    thread.start()
    waits.until(lambda: serving.started)
    try:
        yield f"https://{certificates.name}:{port}/mcp"
    finally:
        serving.should_exit = True
        thread.join(waits.SECONDS)
