"""Scores images with a detector that `flawforge export` wrote.

    pip install onnxruntime numpy pillow
    python score.py model.onnx suspect.png [more images]

Prints one line an image: its verdict, its verdict score and where its map is highest.
"""

import sys

import numpy
import onnxruntime
from PIL import Image

VERDICTS = ("normal", "look", "anomalous")


def main():
    model, *files = sys.argv[1:]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    facts = session.get_modelmeta().custom_metadata_map
    print(f"{facts['method']} for {facts['category']}, threshold {facts.get('threshold', 'unknown')}")
    names = [output.name for output in session.get_outputs()]
    for file in files:
        # Bytes, red first, at the image's own size: the graph resizes them. Images of one size may be stacked to a batch.
        image = numpy.asarray(Image.open(file).convert("RGB"))
        found = dict(zip(names, session.run(None, {"images": image[numpy.newaxis]})))
        row, column = numpy.unravel_index(found["map"][0].argmax(), found["map"][0].shape)
        verdict = VERDICTS[int(found["verdict"][0])] if "verdict" in found else "no threshold"
        print(f"{file}: {verdict}, score {found['verdict_score'][0]:.4f}, highest at column {column}, row {row}")


main()
