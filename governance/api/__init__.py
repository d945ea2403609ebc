"""The REST addresses of floor 3, on the base of floor 2's API."""
