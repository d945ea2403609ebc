"""What runs around the product in the demo: sample systems, the stub identity provider, and the processes."""
