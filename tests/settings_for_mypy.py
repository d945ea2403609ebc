"""The settings with stand-in secrets, for the type checker alone: it reads the settings and connects to nothing."""

import os

os.environ.setdefault("SECRET_KEY", "-" * 50)
os.environ.setdefault("KEY_ENCRYPTION_KEY", "A" * 43)
os.environ.setdefault("DATABASE_URL", "postgresql://mandate_app@localhost/mandate")
os.environ.setdefault("REDIS_URL", "redis://localhost")

from governance.settings import *  # noqa: F403
