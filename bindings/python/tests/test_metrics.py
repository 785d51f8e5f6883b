"""Metrics beside scikit-learn's, and beside torchmetrics and anomalib where they are."""

from __future__ import annotations

import numpy as np
import pytest

from flawforge import metrics

sklearn = pytest.importorskip("sklearn.metrics", reason="needs peer: scikit-learn")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("share", [0.001, 0.3, 0.9])
def test_scikit_learn_agrees(dtype: type, ties: bool, share: float) -> None:
    rng = np.random.default_rng(1)
    truths = rng.random((50, 400)) < share
    scores = rng.normal(size=truths.shape) + truths
    scores = (scores.round(1) if ties else scores).astype(dtype)
    expected = sklearn.roc_auc_score(truths.ravel(), scores.ravel().astype(np.float64))
    assert metrics.auroc(scores, truths) == pytest.approx(expected, abs=1e-12)
    expected = sklearn.average_precision_score(truths.ravel(), scores.ravel().astype(np.float64))
    assert metrics.average_precision(scores, truths) == pytest.approx(expected, abs=1e-12)


def test_what_64_bits_tell_apart_is_no_tie() -> None:
    scores = 1.0 + np.array([0, 1, 2, 3, 3]) * 1e-12
    truths = np.array([0, 1, 0, 1, 0])
    assert np.unique(scores.astype(np.float32)).size == 1
    expected = sklearn.roc_auc_score(truths, scores)
    assert metrics.auroc(scores, truths) == pytest.approx(expected, abs=1e-15)
    # An infinite score is above all others: of the nine pairs 1, 2.5 and 3 are in order.
    scores, truths = np.append(scores, np.inf), np.append(truths, 1)
    assert metrics.auroc(scores, truths) == pytest.approx(6.5 / 9)
    signed = np.array([-1.0 - 1e-12, -1.0, -0.0, 0.0, 1e300])
    assert metrics.auroc(signed, np.array([0, 0, 1, 0, 1])) == pytest.approx((2.5 + 3) / 6)


def test_maps_of_64_bits_have_one_order() -> None:
    rng = np.random.default_rng(2)
    masks = np.zeros((3, 16, 20), np.uint8)
    masks[0, 2:6, 3:9] = 255
    masks[2, 8:12, 10:19] = 1
    exact = rng.integers(0, 1000, masks.shape).astype(np.float32) + 900.0 * (masks > 0)
    # The same order, in differences that 32 bits do not see.
    fine = 1.0 + exact.astype(np.float64) * 1e-13
    expected = metrics.aupro(exact.astype(np.float32), masks)
    assert 0.2 < expected < 1.0
    assert metrics.aupro(fine, masks) == expected
    assert metrics.aupro(list(fine), list(masks), limit=0.3) == expected
    assert metrics.aupro(exact.astype(np.float32), masks, limit=1.0) != expected
    # Which number above 0 marks a pixel does not matter.
    assert metrics.aupro(exact.astype(np.float32), masks > 0) == expected
    assert metrics.aupro(exact.astype(np.float32), masks.astype(np.int64) * 7) == expected


def aupro_by_definition(maps: np.ndarray, masks: np.ndarray, limit: float) -> float:
    """The curve point by point, with scipy's regions."""
    from scipy.ndimage import label

    regions = [
        scores[numbered == number]
        for scores, mask in zip(maps, masks)
        for numbered, count in [label(mask, np.ones((3, 3)))]
        for number in range(1, count + 1)
    ]
    normal = maps[masks == 0]
    points = [(0.0, 0.0)]
    for threshold in np.unique(maps)[::-1]:
        points.append(
            ((normal >= threshold).mean(), np.mean([(region >= threshold).mean() for region in regions]))
        )
    rates, overlaps = np.array(points).T
    inside = rates <= limit
    rates_cut = np.append(rates[inside], limit)
    overlaps_cut = np.append(overlaps[inside], np.interp(limit, rates, overlaps))
    return float(np.trapezoid(overlaps_cut, rates_cut) / limit)


def test_aupro_is_that_of_its_definition() -> None:
    rng = np.random.default_rng(3)
    masks = np.zeros((4, 24, 24), np.uint8)
    masks[0, 3:9, 3:9] = 1
    masks[0, 15:20, 2:22] = 1
    masks[1, 0:3, 20:24] = 1
    masks[1, 3, 19] = 1  # touches it by a corner
    masks[3, 12, 12] = 1
    maps = (rng.normal(size=masks.shape) + masks).astype(np.float32)
    for limit in (0.05, 0.3, 1.0):
        assert metrics.aupro(maps, masks, limit) == pytest.approx(aupro_by_definition(maps, masks, limit), abs=1e-9)


def test_torchmetrics_agrees() -> None:
    torch = pytest.importorskip("torch", reason="needs peer: torch")
    theirs = pytest.importorskip("torchmetrics.functional", reason="needs peer: torchmetrics")
    rng = np.random.default_rng(4)
    truths = rng.random(3000) < 0.2
    # Probabilities: torchmetrics squashes whatever lies outside of 0 to 1.
    scores = (0.5 * rng.random(3000) + 0.3 * truths).astype(np.float32)
    both = torch.from_numpy(scores), torch.from_numpy(truths.astype(np.int64))
    found = float(theirs.auroc(*both, task="binary"))
    assert metrics.auroc(scores, truths) == pytest.approx(found, abs=1e-5)
    found = float(theirs.average_precision(*both, task="binary"))
    assert metrics.average_precision(scores, truths) == pytest.approx(found, abs=1e-5)


def test_anomalib_agrees() -> None:
    torch = pytest.importorskip("torch", reason="needs peer: torch")
    theirs = pytest.importorskip("anomalib.metrics.aupro", reason="needs peer: anomalib")
    rng = np.random.default_rng(5)
    masks = np.zeros((3, 64, 64), np.uint8)
    masks[0, 10:30, 10:30] = 1
    masks[2, 40:50, 5:60] = 1
    maps = (rng.random(masks.shape) + 0.4 * masks).astype(np.float32)
    metric = theirs._AUPRO(fpr_limit=0.3)
    metric.update(torch.from_numpy(maps), torch.from_numpy(masks).int())
    assert metrics.aupro(maps, masks) == pytest.approx(float(metric.compute()), abs=1e-5)


def test_truths_of_every_usual_type_are_the_same() -> None:
    scores = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    truths = (np.arange(12).reshape(3, 4) * 7) % 5 > 2
    expected = metrics.auroc(scores, truths)
    for dtype in (np.uint8, np.int64, np.uint16, np.float32, np.float64):
        assert metrics.auroc(scores, truths.astype(dtype)) == expected
    assert metrics.auroc(scores.T, truths.T) == expected
    assert metrics.auroc(scores[::-1, ::2], truths[::-1, ::2]) == metrics.auroc(
        scores[::-1, ::2].copy(), truths[::-1, ::2].copy()
    )
    assert metrics.auroc(scores.astype(">f4"), truths) == expected


@pytest.mark.parametrize(
    ("scores", "truths", "said"),
    [
        (np.zeros(3, np.float32), np.zeros(4, bool), r"needs the shape of the scores, \(3,\), not \(4,\)"),
        (np.zeros(3, np.int64), np.zeros(3, bool), r"scores: needs floats of at most 64 bits, not int64 of shape \(3,\)"),
        (np.zeros(2, np.float32), np.array([-1, 1]), "truths: needs bool, or numbers that are 0 or 1, not int64 of shape .* with -1"),
        (np.zeros(2, np.float32), np.array([0.5, 1]), "float64 of shape .* with 0.5"),
        (np.zeros(2, np.float32), np.array([0, 2]), "with 2"),
        (np.zeros(2, np.float32), np.array([0, 255], np.uint8), "with 255"),
        (np.zeros(3, np.float32), np.array([0, 1, np.nan]), "truths: needs bool, or numbers that are 0 or 1"),
        (np.zeros(2, np.float32), np.array(["a", "b"]), "truths: needs"),
        (np.array([0, np.nan], np.float32), np.array([0, 1]), "score 1 is not a number"),
        (np.array([0, np.nan, 1 + 1e-12]), np.array([0, 1, 0]), "score 1 is not a number"),
        (np.zeros(2, np.float32), np.ones(2, bool), "both normal and anomalous truths are needed, got 2 anomalous"),
        (np.zeros(0, np.float32), np.zeros(0, bool), "both normal and anomalous|no scores"),
    ],
)
def test_bad_input_is_named(scores: np.ndarray, truths: np.ndarray, said: str) -> None:
    for metric in (metrics.auroc, metrics.average_precision):
        with pytest.raises(ValueError, match=said):
            metric(scores, truths)


def test_bad_maps_are_named() -> None:
    maps, masks = np.zeros((2, 4, 4), np.float32), np.zeros((2, 4, 4), bool)
    masks[0, 0, 0] = True
    for given, said in [
        ((maps[:1], masks), "there are 2 for 1 maps"),
        ((maps[:, :3], masks), r"maps\[0\]: needs shape \(height, width\) like its mask, not \(3, 4\) and \(4, 4\)"),
        ((maps[0], masks[0]), r"maps\[0\]: needs shape"),
        ((maps, masks, 0.0), "limit of AUPRO"),
        ((maps, masks, 1.5), "limit of AUPRO"),
        ((maps, np.zeros_like(masks)), "both normal and anomalous truths"),
        ((maps, masks * -1), r"masks\[0\]: needs bool, whole numbers of at least 0, .* with -1"),
        ((maps, masks * 0.5), r"masks\[0\]: .* with 0.5"),
    ]:
        with pytest.raises(ValueError, match=said):
            metrics.aupro(*given)
