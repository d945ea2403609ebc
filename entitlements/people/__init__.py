"""People, their roles and groups, people sources, sign-ins."""
