"""The database as libpq and an operator see it: its address, whether commits survive a failover, and its tables."""
