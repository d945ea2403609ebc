"""What the gateway says about itself: metadata of its resources, and its health."""
