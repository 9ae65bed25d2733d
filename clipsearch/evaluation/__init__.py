"""What a model is worth, measured: on photos whose classes or captions are known.

    labelled       photos whose classes are known, whatever form they were published in
    class_folders  one of the forms: a folder of class folders
    encoded        such photos and their classes as vectors, which every figure starts from
    metrics        from scores and truths to figures. Pure numpy
    captions       photos with captions, in the forms of the published collections
    retrieval      how often a caption finds its photo, and a photo a caption. Pure numpy
    zero_shot      one model over one set: how many photos it recognises
    speed          images a second by batch, milliseconds a text

It knows the engine and no library. A photo that cannot be read is counted and named, and never left out in silence.
"""
