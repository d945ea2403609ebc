"""A time-stamping authority (RFC 3161): openssl behind a small server on loopback, with certificates of its own."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CONFIG = """
[tsa]
default_tsa = it
[it]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
"""


@dataclass
class Authority:
    """Where it is, its root certificate, what it was asked, and what it says instead when it lies."""

    folder: Path
    url: str = ""
    asked: int = 0
    instead: bytes | None = None

    @property
    def roots(self) -> Path:
        return self.folder / "roots.pem"

    def answer(self, query: bytes) -> bytes:
        self.asked += 1
        if self.instead is not None:
            return self.instead
        asked = self.folder / "query"
        asked.write_bytes(query)
        command = ["openssl", "ts", "-reply", "-queryfile", str(asked), "-config", str(self.folder / "config")]
        signer = ["-signer", str(self.folder / "stamps.pem"), "-inkey", str(self.folder / "stamps.key")]
        done = subprocess.run([*command, *signer], capture_output=True, check=True)
        return done.stdout


@contextmanager
def standing(folder: Path) -> Iterator[Authority]:
    """Make its certificates and let it answer."""
    folder.mkdir()
    _certificates(folder)
    (folder / "config").write_text(_CONFIG.format(folder=folder))
    (folder / "serial").write_text("01\n")
    authority = Authority(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            answer = authority.answer(query)
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        authority.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield authority
        finally:
            server.shutdown()
            thread.join()


def _certificates(folder: Path) -> None:
    root_key, key = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    root = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Root")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Stamps")])
    now = datetime.now(UTC)

    def made(name: x509.Name, public: rsa.RSAPublicKey) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(root).public_key(public)
        begins, ends = now - timedelta(days=1), now + timedelta(days=1)
        return builder.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)

    ours = made(root, root_key.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
    stamps = made(subject, key.public_key()).add_extension(usage, critical=True)
    (folder / "roots.pem").write_bytes(ours.sign(root_key, hashes.SHA256()).public_bytes(Encoding.PEM))
    (folder / "stamps.pem").write_bytes(stamps.sign(root_key, hashes.SHA256()).public_bytes(Encoding.PEM))
    (folder / "stamps.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
