"""What follows when a system answers with a secret of the vault."""
