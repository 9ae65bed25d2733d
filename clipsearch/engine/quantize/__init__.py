"""Variants of a model in fewer bits: made from the reference, compared with it, added to the model's folder.

    material     the photos and texts that a variant is made with, and those it is compared on: never the same
    feeds        the same as a graph takes them
    graphs       ONNX graphs with their weights as plain floats, and written again
    weights      fp16, and int8 and int4 in blocks; blocks is their arithmetic, moments what GPTQ asks of the inputs
    activations  int8 for OpenVINO: weights and what flows between them, calibrated by NNCF
    compare      how far a variant's vectors are from the reference's. Pure numpy
    adding       into the model's folder, whole or not at all
    making       all of it, one step after the other

Extras are loaded by whoever makes something; `import clipsearch` and every other verb never meets them.
"""
