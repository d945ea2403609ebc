"""Decoys: tools that chosen agents are shown though they may not be called."""
