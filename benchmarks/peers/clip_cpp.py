"""clip.cpp behind the same pipe as encoder_process.py, in the environment that full_size.py made for it.

    python benchmarks/peers/clip_cpp.py MODEL.gguf      a request a line on stdin, an answer a line on stdout

The picture is prepared once: what is timed is `clip_image_encode`, one picture a call, for the package has no batches;
and for a text its tokenizer and `clip_text_encode`. Needs clip_cpp and the standard library.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time

sys.path.pop(0)  # this file is called like the package
from clip_cpp import clip


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the library prints
    model = clip.Clip(sys.argv[1])
    vector = (ctypes.c_float * model.vec_dim)()
    prepared: dict[str, object] = {}

    def encoded(picture: str, threads: int) -> None:
        if picture not in prepared:
            raw, prepared[picture] = clip.make_clip_image_u8(), clip.make_clip_image_f32()
            assert clip.clip_image_load_from_file(picture.encode(), raw)
            assert clip.clip_image_preprocess(model.ctx, raw, prepared[picture])
        assert clip.clip_image_encode(model.ctx, threads, prepared[picture], vector, True)

    for line in sys.stdin:
        request = json.loads(line)
        threads = request["threads"]
        vectors, times = [], []
        began = time.perf_counter()
        while not times or (time.perf_counter() - began < request["seconds"] and not request.get("vectors")):
            started = time.perf_counter()
            if "picture" in request:
                encoded(request["picture"], threads)
                vectors = [list(vector)]
            else:
                vectors = [model.encode_text(model.tokenize(text), threads) for text in request["texts"]]
            times.append(time.perf_counter() - started)
        answer = {"fastest_s": min(times), "calls": len(times), "peak_mb": peak_mb()}
        print(json.dumps(answer | ({"vectors": vectors} if request.get("vectors") else {})), file=answers, flush=True)


def peak_mb() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


if __name__ == "__main__":
    main()
