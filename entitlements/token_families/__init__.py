"""A sign-in of a person at a client that lasts: the refresh tokens of one consent, and every token that came of it."""
