"""The pages on which people connect a client, and the registry that programs read."""
