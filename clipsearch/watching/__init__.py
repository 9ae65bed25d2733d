"""Keeping a library current: settle, then reconcile that folder against the disk.

Events only say where to look (inotify.py, recursive.py); where there are none, the whole root is looked at again and
again. What changed is decided by index/crawl.plan as in every other run, so a lost event costs time, never truth.
`loop` joins the parts; watchdog is imported by the two sources of events only, and only once somebody watches.
"""
