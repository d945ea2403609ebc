"""Which agent may act for which: what an agent's owner permits, and without which no delegation chain stands."""
