"""FastMCP's proxy before the upstream that UPSTREAM names; runs under the Python of `.venv-bench`."""

import os

from fastmcp.server import create_proxy

application = create_proxy(os.environ["UPSTREAM"], name="anchor").http_app(path="/mcp", stateless_http=True)
