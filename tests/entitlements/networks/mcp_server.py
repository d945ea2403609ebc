"""An MCP server over TLS for tests that need it in another network: `python mcp_server.py HOST PORT PEM`.

It says on its output when it listens, and then each request that arrives.
"""

from __future__ import annotations

import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

RESULTS = {
    "server/discover": {"supportedVersions": ["2026-07-28"]},
    "tools/list": {"tools": [{"name": "now", "inputSchema": {"type": "object"}}]},
}


class Handler(BaseHTTPRequestHandler):
    """Answers the two methods of a discovery."""

    def do_POST(self) -> None:
        """Answer one message."""
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        sys.stdout.write(f"{message['method']}\n")
        sys.stdout.flush()
        body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": RESULTS[message["method"]]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing else."""


def main(host: str, port: str, pem: str) -> None:
    """Serve until the process ends."""
    server = HTTPServer((host, int(port)), Handler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    sys.stdout.write("listens\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
