"""The record, written for other programs. Every format reads sealed leaves by index."""
