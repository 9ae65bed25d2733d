"""Folders, tables and tars of photos, encoded by many machines into one bundle; needs the extra [cluster].

  parcels     what passes between the parts: items, chunks, outcomes. Plain data
  stores      file systems by URI, and what they say when they refuse
  sources     the words of a command line -> parcels, which are handed out one by one
  reading     a parcel -> its items, in chunks small enough to be lost; runs on any machine
  actor       a chunk -> rows, with a model and decode workers of its own; runs on any machine
  layout      how many actors fit on which machines
  ledger      what the bundle holds by now
  rays        Ray Data carries chunks from readers to actors. The only place that knows Ray
  driving     joins these: what `clipsearch cluster encode` does

(K1) Every input ends as a row of the bundle: a photo, or why there is none.
(K2) What a dead actor or machine held is handed out again, twice; then it is a row with that reason.
(K3) The driver alone writes the bundle. Whatever dies, the parts that it has written stay whole.
"""
