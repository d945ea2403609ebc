"""OpenAPI 3.0 and 3.1 documents, read into tools: what can be mapped exactly, and why the rest is refused. Pure."""
