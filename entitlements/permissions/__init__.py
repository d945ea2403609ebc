"""Who may call what: one row for each address and method of the API."""
