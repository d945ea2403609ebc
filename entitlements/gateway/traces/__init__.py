"""What is recorded and measured of messages to the gateway beside their decisions."""
