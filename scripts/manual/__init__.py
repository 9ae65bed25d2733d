"""Docs and the man page, made from the program itself, so that they cannot say what it does not do."""
