"""Backends that go wrong, for tests that choose among them. Each runs in a child process of the program's own."""
