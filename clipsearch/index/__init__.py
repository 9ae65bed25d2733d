"""Which photos exist, what they are, and where their vectors lie.

Invariants of the store; code and tests cite them by number.

(I1) SQLite is the truth. A commit holds whole photos: file, content and vector in one transaction.
     A file row has a photo or a reason, never both and never neither (schema.py, CHECK).
(I2) A generation is a checkpoint of committed vectors. It is opened only if its files are those that its
     rows describe: by size and by what touched them last, or by SHA-256 where something has touched them
     since. Otherwise searching reads the vectors from SQLite.
(I3) A generation file never changes once it has its name, and the rows are written after all the names.
     Old generations go after the new row is committed, never before.
(I4) Vectors of two spaces are never compared, and never lie in one generation.
(I5) Deletion follows proof of absence, not absence of proof: a folder that cannot be listed keeps its files.
(I6) The key of a row, in every file, is photo.id; ids are never reused (AUTOINCREMENT). The rows that a generation may
     answer with are those whose newest `seq` it covers; all others are the tail, searched exactly.

`index` does not know `engine`: it is handed an encoder and a decoder (types.py).
"""
