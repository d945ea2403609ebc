"""The settings of the demo's web process: the product's, with the visit around its pages. Never beyond loopback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from governance import settings as product
from governance.settings import *  # noqa: F403 - the same settings, but for what follows

if not product.DEMO:  # which the product refuses anywhere but on localhost
    raise ImproperlyConfigured("Signing in by card is for a demo on this machine alone.")

_HERE = Path(__file__).resolve().parent
_TEMPLATES: dict[str, Any] = product.TEMPLATES[0]
_OPTIONS: dict[str, Any] = _TEMPLATES["OPTIONS"]

ROOT_URLCONF = "scripts.demo.site.urls"
TEMPLATES = [
    {
        **_TEMPLATES,
        "DIRS": [_HERE / "templates", *_TEMPLATES["DIRS"]],
        "OPTIONS": {
            **_OPTIONS,
            "context_processors": [*_OPTIONS["context_processors"], "scripts.demo.site.strip.visit"],
        },
    }
]
STATICFILES_DIRS = [*product.STATICFILES_DIRS, _HERE / "static"]
