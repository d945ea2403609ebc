"""The REST API under /api/v1: doors that translate and call actions."""
