"""Comments and questions beside an item; they decide nothing."""
