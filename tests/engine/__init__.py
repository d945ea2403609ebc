"""The compose file in a real container engine: `make engine`."""

import django

django.setup()  # the walk in the browser makes codes of a second factor, by a library that wants it
