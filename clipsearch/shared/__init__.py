"""A library that many read: vectors, metadata and an index in a store of Lance, on a disk or an object store.

    store       the tables of Lance and their versions; the only place that knows Lance
    outline     what a reader keeps on its own machine: the catalog without the vectors
    catalog     that catalog, its vectors being in the store
    nearest     the plan of a search: which photos are nearest to a vector
    source      all of it, as `opened` asks for it

In the store are two tables, as LanceDB lays them out. `photos.lance` has the columns of `export photos.parquet`, for
any program. `catalog.lance` is the catalog without vectors, in pieces: filters, labels and paths are answered from it
by the SQL of a local library, so that both say the same.

An export writes the catalog, then the photos, then their index, and then moves the tag `published`.

(S1) Moving the tag is the only commit: before it readers see the former version, whatever was killed; after it the new.
(S2) Each version of the photos names the version and the digest of its catalog, so nobody sees a mix of two.

(S3) The version that was replaced stays until the next export, for those who still read it.
"""
