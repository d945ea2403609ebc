"""Discovery sources on pages and over REST: connect one, see its runs and what it lists, run it now."""
