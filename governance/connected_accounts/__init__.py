"""Connected accounts in the console: a person connects their own account at a system; owners see all that there are."""
