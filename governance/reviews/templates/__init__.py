"""Campaign templates and recurring reviews."""
