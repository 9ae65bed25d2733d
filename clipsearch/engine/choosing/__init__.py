"""Which way to run a model on this machine: measured, not guessed.

candidates  what there is to choose from: a way, a variant, a batch
child       a process that may crash, asked for one answer
measure     the child that tries one
trials      its judge, which is still there when it crashes
machine     what a verdict depends on beside the model
choice      what was decided here, and kept
"""
