"""Rates and budgets for people: setting and ending them, and how much of each is taken."""
