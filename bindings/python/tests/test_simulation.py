"""Samples: the bytes of the Rust library, whatever the form of the input."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from conftest import surface

import flawforge
from flawforge import Selection, Simulation, Textures


def fnv1a(parts: list[bytes]) -> int:
    value = 0xCBF29CE484222325
    for part in parts:
        for byte in part:
            value = (value ^ byte) * 0x0100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


@pytest.mark.parametrize(
    ("selection", "pinned"),
    [(Selection.draem(), 0xBC4845B7B9BD67CB), (Selection.mvtec("bottle"), 0xE8F2F6D178C0ECB4)],
    ids=["draem", "bottle"],
)
def test_bytes_are_those_that_the_rust_library_pins(selection: Selection, pinned: int) -> None:
    """The digests of crates/augment/tests/simulation.rs: the_number_of_threads_changes_nothing_and_bytes_are_pinned."""
    images = [surface(48 + k % 3, 40, k) for k in range(24)]
    samples = flawforge.simulate(images, selection, 11, step=2, normals=True)
    everything = []
    for normal, image, mask, kind in zip(samples.normals, samples.images, samples.masks, samples.kinds):
        everything += [normal.tobytes(), image.tobytes(), mask.tobytes(), (kind or "clean").encode()]
    assert fnv1a(everything) == pinned


def test_a_sample_is_the_same_alone_and_in_a_batch_and_of_any_dtype(parts: np.ndarray) -> None:
    simulation = Simulation()
    images, masks, kinds, parameters = samples = simulation.draw(parts, 3, step=1, normals=True)
    assert images.shape == parts.shape and images.dtype == np.uint8
    assert masks.shape == parts.shape[:3] and masks.dtype == np.uint8 and masks.max() == 1
    assert samples.normals.shape == parts.shape
    floats = simulation.draw(parts, 3, step=1, dtype=np.float32)
    assert floats.images.dtype == np.float32 and floats.normals is None
    assert np.array_equal(np.floor(floats.images * np.float32(255) + np.float32(0.5)).astype(np.uint8), images)
    for number in range(len(parts)):
        one = simulation.draw(parts[number : number + 1], 3, step=1, indices=[number])
        assert np.array_equal(one.images[0], images[number]) and np.array_equal(one.masks[0], masks[number])
        assert (one.kinds[0], one.parameters[0]) == (kinds[number], parameters[number])
        assert (kinds[number] is None) == (masks[number].max() == 0) == (parameters[number] == [])
        untouched = masks[number] == 0
        assert np.array_equal(images[number][untouched], parts[number][untouched])
    assert any(kinds) and not all(kinds)
    again = flawforge.simulate(parts, seed=3, step=1)
    assert np.array_equal(again.images, images) and again.kinds == kinds
    for other in (flawforge.simulate(parts, seed=4, step=1), flawforge.simulate(parts, seed=3)):
        assert not np.array_equal(other.images, images)


def test_forms_of_input(parts: np.ndarray) -> None:
    simulation = Simulation()
    expected = simulation.draw(parts, 1)
    wide = np.zeros((6, 40, 96, 4), np.uint8)
    wide[:, :, ::2, :3] = parts
    for given in (wide[:, :, ::2, :3], np.asfortranarray(parts), parts[::-1][::-1]):
        assert np.array_equal(simulation.draw(given, 1).images, expected.images)
    for given in (list(parts), tuple(parts), iter(parts), [image.tolist() and image for image in parts]):
        drawn = simulation.draw(given, 1)
        assert isinstance(drawn.images, list) and np.array_equal(np.stack(drawn.images), expected.images)
    sizes = [surface(48, 40, 0), surface(64, 33, 1), surface(48, 40, 2)]
    drawn = simulation.draw(sizes, 1, normals=True)
    assert [image.shape for image in drawn.images] == [image.shape for image in sizes]
    assert [mask.shape for mask in drawn.masks] == [image.shape[:2] for image in sizes]
    assert [normal.shape for normal in drawn.normals] == [image.shape for image in sizes]
    one = simulation.draw([sizes[1]], 1, indices=[1])
    assert np.array_equal(one.images[0], drawn.images[1]) and one.kinds == drawn.kinds[1:2]
    none = simulation.draw(parts[:0])
    assert none.images.shape == (0, 40, 48, 3) and none.masks.shape == (0, 40, 48) and none.kinds == []
    assert simulation.draw([]).images == []
    before = parts.copy()
    simulation.draw(parts, 1)
    assert np.array_equal(parts, before)


def test_samples_are_a_tuple_that_survives_pickling(parts: np.ndarray) -> None:
    samples = flawforge.simulate(parts, seed=5, normals=True)
    again = pickle.loads(pickle.dumps(samples))
    assert len(samples) == 4 and isinstance(again, flawforge.Samples)
    assert np.array_equal(again.images, samples.images) and np.array_equal(again.normals, samples.normals)
    assert again.parameters == samples.parameters


def test_kinds_textures_and_constants_are_chosen(parts: np.ndarray) -> None:
    many = np.repeat(parts, 10, axis=0)
    kinds = ["transparent", "opaque", "near-distribution", "cut-paste", "nsa", "cut-out", "foreign-patch", "relocated"]
    for kind in kinds:
        drawn = flawforge.simulate(many, [kind], 1, clean_probability=0.0)
        assert set(drawn.kinds) <= {kind, None} and kind in drawn.kinds, kind
    weighted = flawforge.simulate(many, Selection({"opaque": 5.0, "cut-out": 0.0}), 1, clean_probability=0)
    assert set(weighted.kinds) <= {"opaque", None}
    assert set(flawforge.simulate(many, clean_probability=1.0).kinds) == {None}
    green = np.zeros((1, 32, 32, 3), np.uint8) + np.uint8([0, 255, 0])
    opaque = flawforge.simulate(many, ["opaque"], 1, textures=green, clean_probability=0.0)
    # DRAEM's operations change it, but not into a surface with a grain.
    covered = opaque.images[opaque.masks == 1]
    assert len(np.unique(covered, axis=0)) < 600 < len(covered)
    settings = "clean_probability = 0.0\n[kinds.near-distribution]\nweight = 1\ndensity = 0.3"
    drawn = flawforge.simulate(many, settings=settings)
    assert set(drawn.kinds) <= {"near-distribution", None}
    cut_from = np.full((2, 64, 64, 3), 9, np.uint8)
    drawn = flawforge.simulate(many, ["foreign-patch"], 1, source=cut_from, clean_probability=0.0)
    assert (drawn.images < parts.min()).any()


def test_selections() -> None:
    assert Selection().kinds == {"near-distribution": 1.0, "opaque": 1.0, "transparent": 1.0}
    assert Selection() == Selection(["transparent", "opaque", "near_distribution"]) != Selection.draem()
    assert Selection("opaque").kinds == {"opaque": 1.0}
    assert Selection.draem().rotate_normals and "rotate_normals=True" in repr(Selection.draem())
    leather = Selection.mvtec("leather")
    assert "near-distribution" not in leather.kinds and leather.rotate_normals and leather.reason


def test_a_proposal_is_a_selection_file(parts: np.ndarray, tmp_path: object) -> None:
    cloth = np.stack([np.roll(surface(96, 96, 0), shift, axis=1) for shift in range(6)])
    proposal = flawforge.select(cloth, "cloth")
    assert proposal.positions_fixed is True and proposal.selection.reason
    assert proposal.measures and all(np.isfinite(list(proposal.measures.values())))
    file = tmp_path / "cloth.toml"
    file.write_text(proposal.toml)
    assert Selection.read(file, "cloth") == proposal.selection
    file.write_text(proposal.selection.to_toml("default"))
    assert Selection.read(file, "anything") == proposal.selection
    with pytest.raises(flawforge.Error, match=r"none\.toml: cannot be read"):
        Selection.read(tmp_path / "none.toml")
    file.write_text("[cloth]\nopaqe = true\n")
    with pytest.raises(flawforge.Error, match=r"cloth\.toml: .*opaqe"):
        Selection.read(file, "cloth")


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.zeros((4, 40, 40, 3)), r"needs uint8 of shape \(N, height, width, 3\).*, not float64 of shape \(4, 40, 40, 3\)"),
        (np.zeros((40, 40, 3), np.uint8), r"not uint8 of shape \(40, 40, 3\)"),
        (np.zeros((2, 3, 40, 40), np.uint8), r"not uint8 of shape \(2, 3, 40, 40\)"),
        ([np.zeros((40, 40), np.uint8)], r"images\[0\]: needs uint8 of shape \(height, width, 3\), not uint8 of shape \(40, 40\)"),
        ([np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40, 3), np.int8)], r"images\[1\]: .*int8"),
        ("parts.png", "images: needs arrays, not str"),
        (7, "images: needs arrays, not int"),
        (np.zeros((1, 31, 64, 3), np.uint8), "64x31 pixels is too small; both sides need at least 32"),
        (np.zeros((1, 0, 64, 3), np.uint8), "too small"),
    ],
)
def test_bad_images_are_named(images: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        flawforge.simulate(images)


def test_bad_arguments_are_named(parts: np.ndarray) -> None:
    for call, said in [
        (lambda: flawforge.simulate(parts, seed=-1), "seed: needs a whole number from 0 to 18446744073709551615, not -1"),
        (lambda: flawforge.simulate(parts, seed=1.5), "seed: needs a whole number, not 1.5"),
        (lambda: flawforge.simulate(parts, step=2**64), "step: needs a whole number from 0"),
        (lambda: flawforge.simulate(parts, indices=[1, 2]), "indices: 6 are needed, not 2"),
        (lambda: flawforge.simulate(parts, dtype=np.float64), "dtype: needs uint8 or float32, not float64"),
        (lambda: flawforge.simulate(parts, clean_probability=1.5), "clean_probability"),
        (lambda: flawforge.simulate(parts, ["scratch"]), "scratch.*transparent"),
        (lambda: flawforge.simulate(parts, []), "at least one kind"),
        (lambda: Selection({"opaque": -1.0}), "weight -1 is not a number of at least 0"),
        (lambda: Selection({"opaque": 0.0}), "at least one kind"),
        (lambda: Selection.mvtec("botle"), "no category \"botle\" in MVTec AD; there are bottle, cable"),
        (lambda: flawforge.simulate(parts, settings="[kinds.opaqe]\nweight = 1"), "settings: .*opaqe"),
        (lambda: flawforge.simulate(parts, settings="[kinds.opaque]\nweight = -1"), "weight"),
        (lambda: flawforge.simulate(parts, ["opaque"], settings=""), "cannot be given together"),
        (lambda: flawforge.simulate(parts, textures=parts[:0]), "at least one image"),
        (lambda: flawforge.select(parts[:3]), "from at least 4 normal images, not from 3"),
        (lambda: Textures(patterns=0), "patterns: needs 1 to 4096, not 0"),
    ]:
        with pytest.raises(ValueError, match=said):
            call()
