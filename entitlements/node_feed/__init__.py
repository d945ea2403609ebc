"""How a node follows the change feed: by itself, or as one of several workers of a host, and the lease that it gets."""
