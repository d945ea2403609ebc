"""The components that every page of the console is made of."""
