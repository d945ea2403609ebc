"""The Django admin at /admin/: its door, and what is done to rows there by the actions of console and API."""
