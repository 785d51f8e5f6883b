"""Scores anomaly maps in the layout of MVTec's evaluation script, independently of this project's metrics.

    python exported_maps.py DIR

DIR holds what `FLAWFORGE_EXPORT_DIR=DIR cargo test --release -p flawforge-lab --test export_maps` writes:
    DIR/maps/CATEGORY/test/DEFECT/NAME.tiff                 32-bit floats, one channel, the size of the image
    DIR/data/CATEGORY/ground_truth/DEFECT/NAME_mask.png     no file for normal images

Pixel AUROC and AP come from scikit-learn; AUPRO is computed from its definition, threshold by threshold. The figures go to
exported_maps.json beside this file. Made with Python 3.11, numpy 2.4.6, scikit-learn 1.9.1, scipy 1.17.1, tifffile 2026.3.3, Pillow 13.0.0.
"""

import json
import pathlib
import sys

import numpy as np
import tifffile
from PIL import Image
from scipy import ndimage
from sklearn.metrics import average_precision_score, roc_auc_score


def load(root, category):
    maps, masks = [], []
    for path in sorted((root / "maps" / category / "test").glob("*/*.tiff")):
        scores = tifffile.imread(path)
        assert scores.dtype == np.float32 and scores.ndim == 2, (path, scores.dtype, scores.shape)
        truth = root / "data" / category / "ground_truth" / path.parent.name / f"{path.stem}_mask.png"
        mask = np.array(Image.open(truth)) > 0 if truth.exists() else np.zeros(scores.shape, bool)
        assert mask.shape == scores.shape, (path, mask.shape, scores.shape)
        maps.append(scores)
        masks.append(mask)
    return maps, masks


def aupro(maps, masks, limit):
    regions = []
    for scores, mask in zip(maps, masks):
        labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
        regions += [np.sort(scores[labels == i]) for i in range(1, count + 1)]
    normal = np.sort(np.concatenate([scores[~mask] for scores, mask in zip(maps, masks)]))
    thresholds = np.unique(np.concatenate([scores.ravel() for scores in maps]))[::-1]
    reached = lambda sorted_scores: 1 - np.searchsorted(sorted_scores, thresholds) / len(sorted_scores)
    x = np.concatenate([[0.0], reached(normal)])
    y = np.concatenate([[0.0], np.mean([reached(region) for region in regions], axis=0)])
    end = np.interp(limit, x, y) if limit not in x else y[x <= limit][-1]
    x, y = np.append(x[x < limit], limit), np.append(y[x < limit], end)
    return float(np.sum((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2) / limit), len(regions)


def main():
    root = pathlib.Path(sys.argv[1])
    figures = {}
    for folder in sorted((root / "maps").iterdir()):
        maps, masks = load(root, folder.name)
        truth = np.concatenate([mask.ravel() for mask in masks])
        scores = np.concatenate([m.ravel() for m in maps])
        area, regions = aupro(maps, masks, 0.3)
        figures[folder.name] = {
            "maps": len(maps),
            "regions": regions,
            "pixel_auroc": float(roc_auc_score(truth, scores)),
            "pixel_ap": float(average_precision_score(truth, scores)),
            "aupro": area,
        }
    path = pathlib.Path(__file__).with_name("exported_maps.json")
    path.write_text(json.dumps(figures, indent=1) + "\n")


main()
