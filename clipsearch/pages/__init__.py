"""Pages to look at in a browser: one self-contained HTML file each, light and dark, no script, nothing loaded.

Pure: texts and picture bytes come in, HTML goes out. Everything that comes in is escaped here.
"""
