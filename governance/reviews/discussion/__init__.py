"""Comments and questions about review items; they decide nothing."""
