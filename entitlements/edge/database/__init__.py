"""The issuers' one write to the database, on connections of its own."""
