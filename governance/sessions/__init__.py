"""Sessions in the console: all of them, and one with its risk, its sign-in and when it ends."""
