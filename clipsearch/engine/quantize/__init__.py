"""Variants of a model in fewer bits: made from the reference, compared with it, added to the model's folder.

    material   the photos and texts that a variant is made with, and those it is compared on: never the same
    weights    fp16 and int4: fewer bits for each weight, computed in float. Pure onnx
    activations  int8: weights and what flows between them, calibrated on photos and texts (NNCF)
    compare    how far a variant's vectors are from the reference's. Pure numpy
    adding     into the model's folder, whole or not at all
    making     all of it, one step after the other

Extras are loaded by whoever makes something; `import clipsearch` and every other verb never meets them.
"""
