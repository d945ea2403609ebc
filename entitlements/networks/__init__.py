"""How a system on premises is reached: its private networks, its company CA, the certificate that Mandate shows."""
