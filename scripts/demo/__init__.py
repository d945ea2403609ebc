"""The demo world: what stands outside the product, and the client that plays the story. Products never import it."""
