"""What the tests of the watcher share."""

from tests.watching.watched import fast as fast
