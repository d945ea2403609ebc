"""Changes of requests: edited, renewed, appealed."""
