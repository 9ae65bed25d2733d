"""What a model is worth, measured: on photos whose classes, captions or objects are known.

    labelled       photos whose classes are known, whatever form they were published in
    class_folders  one of the forms: a folder of class folders
    cifar, idx     the other forms: bare pixels; cifar_pickle reads what must not be unpickled; arrays: what they give
    known_sets     what published sets are called, and how many pictures figures over them are over
    encoded        photos and their classes or captions as vectors, which every figure starts from
    metrics        from scores and truths to figures. Pure numpy
    located        where the photos lie that a file names
    captions       photos with captions, in the forms of the published collections
    retrieval      how often a caption finds its photo, and a photo a caption. Pure numpy
    objects        photos with the words for what is in them
    words          how well a word finds the photos that it is in. Pure numpy
    zero_shot      one model over one set: how many photos it recognises
    speed          images a second by batch, milliseconds a text
    published      what others published of their models, to stand beside

It knows the engine and no library. A photo that cannot be read is counted and named, and never left out in silence.
"""
