"""Which origins a browser may call the gateway and the issuers from."""
