"""People, their roles and groups, and their sign-ins."""
