"""What a model is worth, measured: on photos whose classes or captions are known.

    class_folders  a folder of class folders, which is how such photos are kept
    metrics        from scores and truths to figures. Pure numpy
    captions       photos with captions, in the forms of the published collections
    retrieval      how often a caption finds its photo, and a photo a caption. Pure numpy
    zero_shot      one model over one set of class folders: figures and times

It knows the engine and no library. A photo that cannot be read is counted and named, and never left out in silence.
"""
