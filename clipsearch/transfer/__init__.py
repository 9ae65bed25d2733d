"""A library's photos, words and vectors in one file that other programs read too, and back into a library.

    header      what every such file says of itself
    parquet     for DuckDB, pandas and Spark; needs the extra [parquet]
    archive     .npz with JSON lines in it; needs nothing
    exporting   a library to a file
    importing   a file into a library, by the bytes of each photo

A format is two functions, `write` and `read`, over the same header and rows (`index.portable`); a new one is a new
module and a line in `formats`.
"""
