"""Campaign templates: reviews that recur."""
