"""Event-triggered reviews: something happened, and one person is asked about it."""
