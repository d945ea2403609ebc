"""The program that checks an evidence pack without its maker."""
