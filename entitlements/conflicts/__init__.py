"""What no person does alone."""
