"""The pages, by their part of the navigation."""
