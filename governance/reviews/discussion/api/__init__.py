"""Comments and questions over REST."""
