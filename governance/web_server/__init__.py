"""What the front of the web process asks before it answers: whose turn it is, and whether the database is there."""
