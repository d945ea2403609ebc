"""Out-of-office delegates."""
