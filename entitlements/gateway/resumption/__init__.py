"""What is kept of the streams of legacy clients, and handed out to those that come back."""
