"""REST APIs behind the gateway: their requests in, the same requests written anew out, and their answers back."""
