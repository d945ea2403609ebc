"""The database as its owner sees it: current SQL files, and squashed migrations."""
