"""What a token is issued for: the grant types of RFC 6749, RFC 7523 and RFC 8693."""
