"""My connections: what is connected as a person, since when and from where, and its end."""
