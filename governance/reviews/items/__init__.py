"""Review items: what a review is about, who sees it, and how far it has come."""
