"""Before a campaign begins: staged by a worker, previewed, launched."""
