"""Event-triggered reviews: after an event, one reviewer is asked about one agent."""
