"""Compute the inventory's figures of each agent now: the worker does it each minute, and a visitor comes earlier."""

from __future__ import annotations

import django

django.setup()

from governance.agents import summaries  # noqa: E402 - the product can be imported only now

if __name__ == "__main__":
    summaries.refresh_due()
