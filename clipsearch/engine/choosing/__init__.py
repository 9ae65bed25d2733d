"""Which way to run a model on this machine: measured, not guessed.

candidates  what there is to choose from: a way, a variant, a batch
measure     the child that tries one
trials      its judge, which is still there when it crashes
machine     what a verdict depends on beside the model
choice      what was decided here, and kept
"""
