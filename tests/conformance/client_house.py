"""The official conformance client, begun once and forked for each scenario: its packages take a second to load.

Run as `python client_house.py <program> <port>`. A connection brings a JSON line of environment and address, and hears
what the program writes and, as its last line, the exit code.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import socket
import sys

import mcp.client.auth.extensions.identity_assertion
import mcp.client.client
import mcp.client.streamable_http  # noqa: F401 - loaded for the program, which imports them again


def main() -> None:
    """Serve until killed."""
    program, port = sys.argv[1:]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=64)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _carry_out(program, connection)
        connection.close()


def _carry_out(program: str, connection: socket.socket) -> None:
    """Run the program in a process of its own, as the suite wants it run, and say how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    line = connection.makefile().readline()
    if not line:  # a look whether this listens
        os._exit(0)
    asked = json.loads(line)
    os.environ.update(asked["environment"])
    os.dup2(connection.fileno(), 1)
    os.dup2(connection.fileno(), 2)
    sys.argv = [program, asked["address"]]
    code = 1
    try:
        runpy.run_path(program, run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.sendall(f"\n{code}\n".encode())
        os._exit(code)


if __name__ == "__main__":
    main()
