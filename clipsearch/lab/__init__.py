"""The laboratory: experiments on models, photos and libraries, each one function that gives a result and its finding.

    findings  what an experiment found: a sentence, tables whose columns have one origin each, plots as plain data
    plots     plots drawn: SVG in the reader's colours, PNG (matplotlib)
    page      findings as one self-contained HTML page

An experiment is a module: a function that measures and returns a frozen result, and `finding`, which tells it. It
judges what users get, so it stands above the library. It prints nothing.
"""
