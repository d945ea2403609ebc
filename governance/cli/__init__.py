"""The command-line client `mandate`: it speaks the REST API from anywhere, and imports nothing of the product."""
