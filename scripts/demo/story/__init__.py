"""The main job, played step by step against the running demo, with the clients that play it."""
