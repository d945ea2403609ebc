"""Access reviews: each capability of them is one room."""
