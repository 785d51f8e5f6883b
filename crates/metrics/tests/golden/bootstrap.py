"""Golden values for the intervals of crates/metrics, written to bootstrap.json beside this file.

Made with Python 3.11, numpy 2.4.6, scikit-learn 1.9.1, scipy 1.17.1.

Metrics of images that are counted several times come from scikit-learn's sample weights, AUPRO from its definition on repeated
maps. Intervals are percentiles of 6,000 stratified draws by numpy's generator; ours draws others, so that the tests allow for
the scatter of both. Scores are multiples of 1/256: exact in 32 bits.
"""

import json
import pathlib

import numpy as np
from scipy import ndimage
from sklearn.metrics import average_precision_score, roc_auc_score

RANDOM = np.random.default_rng(7)
DRAWS = 6_000


def scores(mean, count):
    return np.clip(np.round(RANDOM.normal(mean, 40, count)), 1, 250) / 256


def images(normal, defective):
    values = np.concatenate([scores(90, normal), scores(140, defective)])
    return values, np.arange(normal + defective) >= normal


def weighted(normal, defective):
    values, labels = images(normal, defective)
    times = RANDOM.poisson(1.0, len(values))
    times[0], times[-1] = 2, 1
    return {
        "scores": values.tolist(), "defective": labels.tolist(), "times": times.tolist(),
        "auroc": float(roc_auc_score(labels, values, sample_weight=times)),
        "average_precision": float(average_precision_score(labels, values, sample_weight=times)),
    }


def draw(labels):
    sorts = [np.nonzero(labels)[0], np.nonzero(~labels)[0]]
    return np.concatenate([RANDOM.choice(sort, len(sort)) for sort in sorts])


def percentiles(values, confidence):
    return np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2]).tolist()


def interval(normal, defective, confidence):
    values, labels = images(normal, defective)
    found = []
    for _ in range(DRAWS):
        drawn = draw(labels)
        found.append((roc_auc_score(labels[drawn], values[drawn]), average_precision_score(labels[drawn], values[drawn])))
    auroc, precision = np.array(found).T
    return {
        "scores": values.tolist(), "defective": labels.tolist(), "confidence": confidence,
        "auroc": percentiles(auroc, confidence), "average_precision": percentiles(precision, confidence),
    }


def regions(mask):
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    return [labels == i for i in range(1, count + 1)]


def aupro(maps, masks, limit=0.3):
    """From the definition; maps that were drawn twice are there twice."""
    thresholds = np.unique(np.concatenate([m.ravel() for m in maps]))[::-1]
    background = sum(int((~mask).sum()) for mask in masks)
    false = np.zeros(len(thresholds))
    overlap, count = np.zeros(len(thresholds)), 0
    for m, mask in zip(maps, masks):
        false += len(m[~mask]) - np.searchsorted(np.sort(m[~mask]), thresholds)
        for region in regions(mask):
            inside = np.sort(m[region])
            overlap += 1 - np.searchsorted(inside, thresholds) / len(inside)
            count += 1
    x, y = np.concatenate([[0], false / background]), np.concatenate([[0], overlap / count])
    last = int(np.nonzero(x <= limit)[0][-1])
    xs, ys = list(x[:last + 1]), list(y[:last + 1])
    if xs[-1] < limit:
        part = (limit - x[last]) / (x[last + 1] - x[last])
        xs.append(limit)
        ys.append(y[last] + part * (y[last + 1] - y[last]))
    return float(np.trapezoid(ys, xs) / limit)


def pixel_metrics(maps, masks):
    truth, pooled = np.concatenate([m.ravel() for m in masks]), np.concatenate([m.ravel() for m in maps])
    return float(roc_auc_score(truth, pooled)), float(average_precision_score(truth, pooled)), aupro(maps, masks)


def pixels():
    maps, masks = [], []
    for boxes in [[], [], [], [(1, 1, 3, 2)], [(5, 4, 4, 3), (0, 8, 1, 1)], [(2, 2, 2, 5)], [(8, 0, 4, 2), (1, 6, 3, 3)]]:
        mask = np.zeros((9, 12), dtype=bool)
        for x, y, w, h in boxes:
            mask[y:y + h, x:x + w] = True
        base = RANDOM.normal(80, 25, (9, 12)) + mask * RANDOM.uniform(30, 90) + RANDOM.normal(0, 15)
        maps.append(np.clip(np.round(base), 1, 250) / 256)
        masks.append(mask)
    labels = np.array([mask.any() for mask in masks])
    times = np.array([2, 0, 1, 3, 0, 1, 1])
    repeated = np.repeat(np.arange(len(maps)), times)
    auroc, precision, overlap = pixel_metrics([maps[i] for i in repeated], [masks[i] for i in repeated])
    found = []
    for _ in range(DRAWS // 4):
        drawn = draw(labels)
        found.append(pixel_metrics([maps[i] for i in drawn], [masks[i] for i in drawn]))
    return {
        "maps": [m.ravel().tolist() for m in maps], "masks": [m.ravel().astype(int).tolist() for m in masks],
        "times": times.tolist(), "auroc": auroc, "average_precision": precision, "aupro": overlap,
        "intervals": [percentiles(values, 0.95) for values in np.array(found).T],
    }


golden = {
    "images": [weighted(20, 12), weighted(5, 30), weighted(200, 80)],
    "intervals": [interval(30, 25, 0.95), interval(60, 20, 0.9)],
    "pixels": pixels(),
}
path = pathlib.Path(__file__).with_name("bootstrap.json")
path.write_text(json.dumps(golden) + "\n")
