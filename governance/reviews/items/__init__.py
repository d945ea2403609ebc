"""Review items: what each is about, who sees it, and its outcome."""
