"""The console's pages of risk signals, and of how each kind is answered."""
