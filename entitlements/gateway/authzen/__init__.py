"""AuthZEN 1.0: decisions and searches for other enforcement points, by the same functions and the same record."""
