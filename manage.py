#!/usr/bin/env python
"""Django's command line for this project."""

import gc
import os
import sys

from django.core.management import execute_from_command_line

from governance.env import BadEnvironmentError


def main() -> None:
    """Run a command; a bad environment ends it with a sentence."""
    # Hardly anything is garbage while a command starts or migrates, and to look for it took a quarter of that time.
    gc.set_threshold(200_000, 50, 50)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")
    try:
        execute_from_command_line(sys.argv)
    except BadEnvironmentError as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
