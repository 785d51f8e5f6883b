"""Our side through Python: DRAEM's samples by the wheel.

    python through.py WORK SAMPLES FOLDER

One iteration makes SAMPLES samples, one a call or eight, DRAEM's batch. They are floats, as those of the other side are.
"""
import pathlib
import sys

import cv2
import numpy as np

import flawforge
from serve import serve

work, samples, folder = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
read = [cv2.imread(str(path)) for path in [folder / "normal.png", *sorted(folder.glob("texture-*.png"))]]
normal, *textures = (cv2.cvtColor(picture, cv2.COLOR_BGR2RGB) for picture in read)
# DRAEM does all the work before it decides that a sample stays clean.
simulation = flawforge.Simulation(flawforge.Selection.draem(), textures=textures, clean_probability=0.0)
drawn = 0


def draw(images):
    global drawn
    indices = range(drawn, drawn + len(images))
    drawn += len(images)
    return simulation.draw(images, 1, indices=indices, dtype=np.float32, normals=True)


batch = np.repeat(normal[None], 8 if work.endswith("-batch") else 1, axis=0)


def run():
    for _ in range(samples // len(batch)):
        draw(batch)


def check():
    return [normal.mean(), *(texture.mean() for texture in textures)]


serve(run, check)
