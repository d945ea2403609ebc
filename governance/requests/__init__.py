"""Requests for access: made, edited, renewed, appealed."""
