"""Suggestions beside items: facts frozen with the population, weighed by one table."""
