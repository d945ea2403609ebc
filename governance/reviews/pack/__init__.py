"""The evidence pack of a campaign: tables, equations, one signature, and the program that checks them offline."""
