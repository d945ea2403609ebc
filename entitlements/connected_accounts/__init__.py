"""Connected accounts: a person's own account at a system, by whose OAuth tokens the gateway acts for that person."""
