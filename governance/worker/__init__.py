"""The worker: its queues, the threads that run tasks, and the loop that waits for what happens."""
