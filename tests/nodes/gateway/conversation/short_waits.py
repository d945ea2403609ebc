"""A node whose calls wait for their client for a second and a half: `python -m`, as `governance.edge`."""

from __future__ import annotations

from importlib import import_module

from governance import edge

if __name__ == "__main__":
    import_module("governance.asgi")  # it sets Django up
    vars(import_module("entitlements.gateway.waiting_calls.waiting_call"))["ANSWER_SECONDS"] = 1.5
    edge.main()
