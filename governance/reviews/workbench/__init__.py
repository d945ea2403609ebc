"""The workbench of a reviewer: the items that wait for them, with the use and the signals of each, in groups."""
