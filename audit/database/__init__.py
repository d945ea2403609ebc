"""The database server as libpq and an operator see it: its address, and whether its commits survive a failover."""
