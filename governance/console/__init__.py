"""The console: pages on the server, narrowed by the same rules as the API, changing things by the same verbs."""
