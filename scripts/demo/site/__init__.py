"""The visit around the console's pages: signing in by card, a strip of steps, and beginning again.

The demo's web process runs with `scripts.demo.site.settings`; the product knows nothing of it and cannot import it.
"""
