"""The database as its owner sees it: current SQL files, and large reads."""
