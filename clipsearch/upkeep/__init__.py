"""Keeping a library: photos that moved, copies of it, what nobody needs any more, whether it is well.

One deed, one module; each takes the writer's lock if it writes. None of them ever touches a photo.
"""
