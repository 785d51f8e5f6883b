"""Masks and textures alone."""

from __future__ import annotations

import numpy as np
import pytest

import flawforge
from flawforge import Textures, masks, textures


@pytest.mark.parametrize("draw", [masks.perlin, masks.rectangle, masks.scar])
def test_masks_are_a_function_of_seed_step_and_index(draw: object) -> None:
    drawn = draw(20, (48, 70), 3, step=2)
    assert drawn.shape == (20, 48, 70) and drawn.dtype == np.uint8 and set(np.unique(drawn)) == {0, 1}
    assert np.array_equal(draw(2, (48, 70), 3, step=2, indices=[7, 0]), drawn[[7, 0]])
    for other in (draw(20, (48, 70), 4, step=2), draw(20, (48, 70), 3)):
        assert not np.array_equal(other, drawn)
    assert draw(0, (48, 70)).shape == (0, 48, 70)


def test_perlin_masks_are_draems() -> None:
    drawn = masks.perlin(400, (256, 256), 1)
    cover = drawn.mean(axis=(1, 2))
    # crates/masks/src/perlin.rs: 4.5 % empty, mean 4.86 %, in bands of about four standard errors.
    assert abs((cover == 0).mean() - 0.045) < 0.042
    assert abs(cover.mean() - 0.0486) < 0.006
    assert masks.perlin(50, (64, 64), threshold=-1.0).mean() > 0.9
    rectangles = masks.rectangle(100, (256, 256)).mean(axis=(1, 2))
    assert 0.01 < rectangles.min() and rectangles.max() < 0.2
    assert 0 < masks.scar(100, (256, 256)).mean() < 0.005


def test_textures(tmp_path: object) -> None:
    noise = Textures(seed=2, patterns=5)
    drawn = noise.draw(6, (40, 52), 1)
    assert drawn.shape == (6, 40, 52, 3) and drawn.dtype == np.uint8 and drawn.std() > 5
    assert np.array_equal(noise.draw(1, (40, 52), 1, indices=[4])[0], drawn[4])
    assert noise.identity == Textures(seed=2, patterns=5).identity != Textures().identity
    bank = Textures.of(drawn)
    same = bank.draw(30, (40, 52))
    assert all(any(np.array_equal(one, image) for image in drawn) for one in same)
    assert bank.draw(1, (33, 90)).shape == (1, 33, 90, 3)
    assert bank.identity == Textures.of(list(drawn)).identity != Textures.of(drawn[:5]).identity
    for number, image in enumerate(drawn):
        height, width, _ = image.shape
        (tmp_path / f"{number}.ppm").write_bytes(b"P6 %d %d 255\n" % (width, height) + image.tobytes())
    read = Textures.read(tmp_path, side=32)
    assert read.draw(2, (32, 32)).shape == (2, 32, 32, 3)


def test_operations_change_images() -> None:
    images = Textures().draw(8, (64, 64))
    changed = textures.change(images, 1)
    assert changed.shape == images.shape and changed.dtype == np.uint8
    assert (changed != images).any(axis=(1, 2, 3)).sum() >= 6
    assert np.array_equal(textures.change(images[3:4], 1, indices=[3])[0], changed[3])


def test_bad_arguments_are_named(tmp_path: object) -> None:
    for call, said in [
        (lambda: masks.perlin(-1, (8, 8)), "count: needs a whole number from 0"),
        (lambda: masks.perlin(1, (8,)), r"shape: needs \(height, width\), not \(8,\)"),
        (lambda: masks.perlin(1, 8), "shape: needs"),
        (lambda: masks.perlin(1, (0, 8)), "shape: needs sides of at least 1"),
        (lambda: masks.perlin(1, (8, 8), threshold=float("nan")), "threshold: needs"),
        (lambda: masks.perlin(1, (8, 8), max_rotation_degrees=200), "max_rotation_degrees: needs"),
        (lambda: masks.perlin(2, (2**31, 2**31)), "do not fit into memory"),
        (lambda: Textures().draw(1, (2**32 - 1, 2**32 - 1)), "do not fit into memory"),
        (lambda: textures.change(np.zeros((1, 8, 8, 3), np.uint8)), "too small"),
        (lambda: Textures.of(np.zeros((8, 8, 3), np.uint8)), "needs uint8 of shape"),
    ]:
        with pytest.raises(ValueError, match=said):
            call()
    with pytest.raises(flawforge.Error, match="none: no such folder"):
        Textures.read(tmp_path / "none")
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(flawforge.Error, match=str(tmp_path)):
        Textures.read(tmp_path)
