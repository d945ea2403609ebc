"""What `@modelcontextprotocol/conformance client` runs for each scenario: an official client, here or behind a gateway.

Run as `python client_command.py <desk> <house> <address>`; the suite adds the address of its scenario's server. The
desk registers that server as a system and answers with its address at the gateway; `-` is none, and leads straight to
the server. The house runs the client. Standard library only: it starts in no time.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import urllib.error
import urllib.request


def main() -> None:
    """Run the client, and end as it ends."""
    desk, house, address = sys.argv[1:]
    environment = {name: value for name, value in os.environ.items() if name.startswith("MCP_CONFORMANCE_")}
    if desk != "-":
        asked = f"{desk}/{environment['MCP_CONFORMANCE_PROTOCOL_VERSION']}/{environment['MCP_CONFORMANCE_SCENARIO']}"
        try:
            with urllib.request.urlopen(asked, address.encode()) as answer:  # noqa: S310 - our own address
                address = answer.read().decode()
        except urllib.error.HTTPError as why:
            sys.exit(why.read().decode())
    with socket.create_connection(("127.0.0.1", int(house))) as connection:
        connection.sendall(json.dumps({"environment": environment, "address": address}).encode() + b"\n")
        *output, code = connection.makefile().read().splitlines()
    sys.stderr.write("\n".join(output))
    sys.exit(int(code))


if __name__ == "__main__":
    main()
