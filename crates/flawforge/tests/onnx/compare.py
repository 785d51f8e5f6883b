"""Compares what ONNX Runtime makes of a model with what Flawforge said of the same images.

    python compare.py MODEL CASES

CASES is a folder: cases.json lists the cases; each names files of raw numbers beside it. Prints one JSON object, the largest
differences over all cases; scores and maps are compared relative to max(1, |x|) too. A case of `bytes` compares these alone. Ran with Python 3.11, numpy 2.4 and
onnxruntime 1.32.
"""

import json
import pathlib
import sys

import numpy
import onnxruntime


def main():
    model, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    worst = {}
    verdicts = differing = 0
    for case in json.loads((folder / "cases.json").read_text()):
        count, height, width = case["count"], case["height"], case["width"]
        images = numpy.fromfile(folder / case["images"], numpy.uint8).reshape(count, height, width, 3)
        found = dict(zip(names, session.run(None, {"images": images})))
        if "bytes" in case:
            wanted = numpy.fromfile(folder / case["bytes"], numpy.uint8)
            differing += int((found["bytes"].ravel() != wanted).sum())
            continue
        wanted = {name: numpy.array(case[name], numpy.float32) for name in ("score", "verdict_score")}
        wanted["map"] = numpy.fromfile(folder / case["map"], "<f4").reshape(count, height, width)
        spread = float(wanted["map"].max() - wanted["map"].min())
        worst["map_spread"] = max(worst.get("map_spread", 0.0), spread)
        for name, values in wanted.items():
            assert found[name].shape == values.shape, (name, found[name].shape, values.shape)
            assert found[name].dtype == numpy.float32, name
            difference = numpy.abs(found[name].astype(numpy.float64) - values)
            relative = difference / numpy.maximum(1.0, numpy.abs(values))
            for key, value in ((name, difference.max()), (name + "_relative", relative.max())):
                worst[key] = max(worst.get(key, 0.0), float(value) if value == value else float("inf"))
        if case["verdict"] is not None:
            assert found["verdict"].dtype == numpy.int64
            verdicts += int((found["verdict"] != numpy.array(case["verdict"])).sum())
    worst["verdicts_that_differ"] = verdicts
    worst["bytes_that_differ"] = differing
    worst["metadata"] = session.get_modelmeta().custom_metadata_map
    print(json.dumps(worst))


main()
