"""Golden values for crates/metrics, written to metrics.json beside this file.

Made with Python 3.11, numpy 1.26.4, scikit-learn 1.9.1, scipy 1.17.1.

Scores come from an integer hash (splitmix64) that golden.rs repeats, divided by a power of two, so that the
32-bit floats are the same on both sides and the file holds only parameters and results. AUPRO is computed
from its definition, threshold by threshold, not in the sorted form of the crate.
"""

import json
import pathlib

import numpy as np
from scipy import ndimage
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

U64 = (1 << 64) - 1
RANGE_BITS = 20  # of the random part of a score


def splitmix64(seed, index):
    z = (seed * 0xD1342543DE82EF95 + (index + 1) * 0x9E3779B97F4A7C15) & U64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & U64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & U64
    return z ^ (z >> 31)


def score(seed, index, anomalous, boost, step):
    """A multiple of step / 2^21; anomalous truths get `boost` / 2^21 more."""
    value = (splitmix64(seed, index) >> (64 - RANGE_BITS)) + (boost if anomalous else 0)
    return np.float32(value // step * step) / np.float32(1 << 21)


def ranking_case(name, seed, count, one_in, boost, step):
    labels = np.array([splitmix64(seed + 1000, i) % one_in == 0 for i in range(count)])
    scores = np.array([score(seed, i, labels[i], boost, step) for i in range(count)], dtype=np.float32)
    precision, recall, _ = precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-30)
    return {
        "name": name, "seed": seed, "count": count, "one_in": one_in, "boost": boost, "step": step,
        "anomalous": int(labels.sum()), "distinct": int(len(np.unique(scores))),
        "auroc": float(roc_auc_score(labels, scores)),
        "average_precision": float(average_precision_score(labels, scores)),
        "best_f1": float(f1.max()),
    }


def aupro(maps, masks, limit):
    regions = []
    for number, mask in enumerate(masks):
        labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
        regions += [(number, labels == i) for i in range(1, count + 1)]
    background = sum(int((mask == 0).sum()) for mask in masks)
    xs, ys = [0.0], [0.0]
    for threshold in np.unique(np.concatenate([m.ravel() for m in maps]))[::-1]:
        hit = [m >= threshold for m in maps]
        xs.append(sum(int((h & (mask == 0)).sum()) for h, mask in zip(hit, masks)) / background)
        ys.append(np.mean([hit[number][region].mean() for number, region in regions]))
    xs, ys = np.array(xs), np.array(ys)
    inside = xs <= limit
    # Where the curve crosses the limit, on the straight line between its neighbours.
    last = int(np.nonzero(inside)[0][-1])
    x, y = list(xs[inside]), list(ys[inside])
    if x[-1] < limit:
        part = (limit - xs[last]) / (xs[last + 1] - xs[last])
        x.append(limit)
        y.append(ys[last] + part * (ys[last + 1] - ys[last]))
    area = sum((b - a) * (p + q) / 2 for a, b, p, q in zip(x, x[1:], y, y[1:]))
    return area / limit, len(regions)


def pixel_case(name, seed, width, height, boost, step, rectangles):
    """`rectangles` holds for every map a list of (x, y, w, h) that are set in its mask."""
    maps, masks = [], []
    for number, boxes in enumerate(rectangles):
        mask = np.zeros((height, width), dtype=bool)
        for x, y, w, h in boxes:
            mask[y:y + h, x:x + w] = True
        start = number * width * height
        values = [score(seed, start + i, m, boost, step) for i, m in enumerate(mask.ravel())]
        maps.append(np.array(values, dtype=np.float32).reshape(height, width))
        masks.append(mask)
    truth = np.concatenate([m.ravel() for m in masks])
    pooled = np.concatenate([m.ravel() for m in maps])
    value, components = aupro(maps, masks, 0.3)
    means = [ndimage.uniform_filter(m.astype(np.float64), size=21, mode="constant") for m in maps]
    return {
        "name": name, "seed": seed, "width": width, "height": height, "boost": boost, "step": step,
        "rectangles": rectangles, "components": components,
        "auroc": float(roc_auc_score(truth, pooled)),
        "average_precision": float(average_precision_score(truth, pooled)),
        "aupro_03": float(value), "aupro_1": float(aupro(maps, masks, 1.0)[0]),
        "image_scores": [float(m.max()) for m in means],
    }


# Boxes that overlap, touch at a corner only, lie at the border, and single pixels.
BOXES = [
    [],
    [[2, 3, 9, 4], [9, 5, 6, 9], [15, 14, 5, 5], [30, 1, 1, 1]],
    [[0, 0, 3, 20], [40, 30, 8, 10]],
    [[20, 20, 2, 2], [22, 19, 1, 1], [25, 25, 1, 1], [27, 25, 12, 3]],
]

golden = {
    "ranking": [
        ranking_case("distinct", 1, 500, 3, 300_000, 1),
        ranking_case("sixteen levels", 2, 500, 3, 300_000, 1 << 17),
        ranking_case("two levels", 3, 200, 5, 400_000, 1 << 20),
        ranking_case("rare", 4, 20_000, 500, 500_000, 256),
        ranking_case("worse than chance", 5, 300, 2, -200_000, 1 << 12),
    ],
    "pixels": [
        pixel_case("distinct", 11, 48, 40, 700_000, 1, BOXES),
        pixel_case("ties", 12, 48, 40, 500_000, 1 << 15, BOXES),
        pixel_case("hard", 13, 37, 53, 100_000, 1 << 10, [[[4, 4, 3, 3]], [[30, 50, 7, 3], [1, 40, 2, 9]]]),
        pixel_case("few levels", 14, 16, 12, 900_000, 1 << 18, [[[0, 0, 4, 4]], [[8, 8, 2, 2], [10, 7, 1, 1]]]),
    ],
}
path = pathlib.Path(__file__).with_name("metrics.json")
path.write_text(json.dumps(golden, indent=1) + "\n")
