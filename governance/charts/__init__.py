"""Plots as drawings, and figures counted now and then."""
