"""The terminal interface: Textual lives in this package and nowhere else.

The event loop only ever draws. Whatever looks at a disk, a database or a model runs on a thread of `asking` or in
the child process of `indexing`, and comes back as a value or a message.
"""
