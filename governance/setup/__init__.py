"""Set-up of an installation, line by line."""
