"""What a campaign looks at: its scope, the snapshot of its population, and its preview."""
