"""Runs: trained, told of, broken off, gone on with, scored."""

from __future__ import annotations

import _thread
import logging
from pathlib import Path

import numpy as np
import pytest

import flawforge
from flawforge import Detector, Progress

SMALL = {"method": "lin-yan", "profile": "smoke"}


def ppm(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width, _ = image.shape
    path.write_bytes(b"P6 %d %d 255\n" % (width, height) + image.tobytes())


def test_progress_is_told_and_the_run_is_there(tmp_path: Path) -> None:
    told: list[Progress] = []
    out = tmp_path / "run"
    report = flawforge.train(demo="gear", out=out, steps=3, progress=told.append, **SMALL)
    assert report.run == out and report.steps == report.total_steps == 3 and report.seconds > 0
    of_run = [one for one in told if one.label == "lin-yan gear"]
    assert [one.step for one in of_run if not one.losses] == [1, 2, 3] or of_run[-1].losses
    assert {one.total for one in of_run} == {3} and of_run[-1].step == 3
    assert of_run[-1].losses["total"] > 0 and all(np.isfinite(list(of_run[-1].losses.values())))
    assert {path.name for path in out.iterdir()} >= {"checkpoint.safetensors", "model.safetensors", "config.toml"}
    with pytest.raises(flawforge.Error, match="already holds a run"):
        flawforge.train(demo="gear", out=out, steps=3, **SMALL)


@pytest.mark.parametrize("how", ["exception", "interrupt"])
def test_a_training_that_is_broken_off_goes_on_to_the_same_end(how: str, tmp_path: Path) -> None:
    def break_off(progress: Progress) -> None:
        if progress.step == 2:
            if how == "interrupt":
                # As Ctrl-C does: it is raised when signals are looked for, after the next step.
                _thread.interrupt_main()
            else:
                raise LookupError("enough")

    expected = KeyboardInterrupt if how == "interrupt" else LookupError
    out = tmp_path / "broken"
    with pytest.raises(expected):
        flawforge.train(demo="gear", out=out, steps=5, seed=3, progress=break_off, **SMALL)
    report = flawforge.train(demo="gear", out=out, steps=5, seed=3, resume=True, **SMALL)
    assert report.steps == 5
    whole = flawforge.train(demo="gear", out=tmp_path / "whole", steps=5, seed=3, **SMALL)
    image = flawforge.Textures().draw(1, (64, 64))
    scores = [Detector.load(report.run).score(image).scores[0] for report in (report, whole)]
    assert scores[0] == scores[1] and report.threshold == whole.threshold


def test_a_view_and_the_region_beside_the_images_are_taken(tmp_path: Path) -> None:
    images = flawforge.Textures().draw(4, (48, 96))
    for number, image in enumerate(images):
        ppm(tmp_path / f"parts/{number}.ppm", image)
    region = np.zeros((48, 96, 3), np.uint8)
    region[:, :48] = 255
    ppm(tmp_path / "parts/roi.png", region)  # Files are told by what is in them.
    report = flawforge.train(tmp_path / "parts", tmp_path / "run", view="fit", steps=2, **SMALL)
    settings = (report.run / "config.toml").read_text()
    assert "[view]\nkind = \"fit\"" in settings and "[region]\nkind = \"fixed\"" in settings
    map = Detector.load(report.run).score(images[:1]).maps[0]
    assert np.unique(map[:, 60:]).size == 1 and np.unique(map[:, :40]).size > 100
    whole = np.full_like(region, 255)
    ppm(tmp_path / "whole.png", whole)
    report = flawforge.train(tmp_path / "parts", tmp_path / "all", roi=tmp_path / "whole.png", steps=2, **SMALL)
    map = Detector.load(report.run).score(images[:1]).maps[0]
    assert np.unique(map[:, 60:]).size > 100
    with pytest.raises(ValueError, match="view: there are stretch, fit"):
        flawforge.train(tmp_path / "parts", tmp_path / "none", view="fits", **SMALL)


def test_each_image_with_a_region_of_its_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = flawforge.Textures().draw(3, (64, 64))
    region = np.zeros((64, 64, 3), np.uint8)
    region[16:48] = 255
    for number, image in enumerate(images):
        ppm(tmp_path / f"parts/{number}.ppm", image)
        ppm(tmp_path / f"masks/{number}.png", region)
    report = flawforge.train(tmp_path / "parts", tmp_path / "run", roi=tmp_path / "masks", steps=2, **SMALL)
    with caplog.at_level(logging.WARNING, "flawforge"):
        detector = Detector.load(report.run)
    assert any("region of interest of its own" in one.getMessage() for one in caplog.records)
    painted = images[:1].copy()
    painted[:, :16] = painted[:, 48:] = (127, 128, 127)
    map = detector.score(painted).maps[0]
    assert np.unique(map[:12]).size == 1 and np.unique(map[20:44]).size > 100


def test_scores(run: flawforge.Report) -> None:
    detector = Detector.load(run.run)
    assert detector.category == "gear" and detector.method == "lin-yan" and detector.input_size == (64, 64)
    assert detector.threshold == run.threshold and detector.warnings == run.warnings
    assert detector.file.name == "checkpoint.safetensors" and "lin-yan gear" in repr(detector)
    images = flawforge.Textures().draw(11, (80, 96))
    found = detector.score(images)
    assert found.scores.shape == found.protocol_scores.shape == (11,) and found.scores.dtype == np.float32
    assert found.maps.shape == (11, 80, 96) and found.maps.dtype == np.float32
    expected = ["anomalous" if score >= detector.threshold else "normal" for score in found.scores]
    assert found.verdicts == expected
    for number in (0, 9):
        alone = detector.score(images[number : number + 1])
        assert alone.scores[0] == found.scores[number] and np.array_equal(alone.maps[0], found.maps[number])
    sizes = [images[0], images[1, :50, :77], images[2]]
    listed = detector.score(sizes)
    assert [one.shape for one in listed.maps] == [(80, 96), (50, 77), (80, 96)]
    assert listed.scores[0] == found.scores[0] and listed.scores[2] == found.scores[2]
    assert detector.score(images, maps=False).maps is None
    assert detector.score(images[:0]).maps.shape == (0, 80, 96)
    with pytest.raises(ValueError, match=r"not uint8 of shape \(80, 96, 3\)"):
        detector.score(images[0])


def test_images_that_are_unlike_the_normal_ones_are_told_once_a_call(
    run: flawforge.Report, recwarn: pytest.WarningsRecorder
) -> None:
    detector = Detector.load(run.run)
    # The demo's gears are not given away, so a gray as bright as they are is looked for.
    usual = next(
        image
        for level in range(0, 256, 8)
        for image in [np.full((96, 96, 3), level, np.uint8)]
        if not any("darker" in one or "brighter" in one for one in detector.score([image]).unlike[0])
    )
    recwarn.clear()
    black = np.zeros_like(usual)
    found = detector.score([usual, black, black])
    assert [any("darker" in one for one in reasons) for reasons in found.unlike] == [False, True, True]
    (warning,) = [one for one in recwarn if one.category is UserWarning]
    assert "unlike the normal images" in str(warning.message) and warning.filename == __file__


def test_regions_and_thresholds_that_are_given(run: flawforge.Report) -> None:
    image = flawforge.Textures().draw(1, (64, 64))
    map = Detector.load(run.run).score(image).maps[0]
    detector = Detector.load(run.run, threshold=0.0, pixel_threshold=float(map.min()))
    found = detector.score(image)
    assert detector.threshold == 0.0 and found.verdicts == ["anomalous"]
    (region,) = found.regions[0]
    assert (region.left, region.top, region.width, region.height, region.area) == (0, 0, 64, 64, 64 * 64)
    assert region.peak == map.max() and region.mean == pytest.approx(map.mean(), abs=1e-5)
    assert Detector.load(run.run, pixel_threshold=float(map.max()) + 1).score(image).regions == [[]]


def test_a_folder_is_read_trained_on_and_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = flawforge.Textures().draw(12, (70, 64))
    for number, image in enumerate(images):
        ppm(tmp_path / f"parts/normal/{number:02}.ppm", image)
    (tmp_path / "parts/normal/99.png").write_bytes(b"no picture")
    with pytest.raises(flawforge.Error, match=r"99\.png"):
        flawforge.train(tmp_path / "parts", tmp_path / "run", steps=1, **SMALL)
    with caplog.at_level(logging.INFO, logger="flawforge"):
        selection = flawforge.Selection(["opaque"])
        report = flawforge.train(
            tmp_path / "parts", tmp_path / "run", steps=1, skip_bad=True, selection=selection, **SMALL
        )
    assert any("left out" in line.message and "99.png" in line.message for line in caplog.records)
    settings = (report.run / "config.toml").read_text()
    assert "opaque" in settings and "near-distribution" not in settings
    detector = Detector.load(report.run)
    read = detector.read(tmp_path / "parts/normal/03.ppm")
    assert np.array_equal(read, images[3])
    assert Detector.load(report.run / "model.safetensors").score([read]).scores == detector.score([read]).scores


def test_bad_arguments_are_named(tmp_path: Path) -> None:
    out = tmp_path / "run"
    (tmp_path / "file").write_text("")
    (tmp_path / "settings.toml").write_text("[schedule]\nlenth = \"2 steps\"\n")
    for error, said, asked in [
        (ValueError, "out: needs the folder", {"demo": "gear", "out": None}),
        (ValueError, "a folder, or demo=NAME", {}),
        (ValueError, "a folder, or demo=NAME", {"dir": tmp_path, "demo": "gear"}),
        (ValueError, "unknown category \"geer\"", {"demo": "geer"}),
        (ValueError, "unknown method `best` .known: draem", {"demo": "gear", "method": "best"}),
        (ValueError, "unknown profile `fast`", {"demo": "gear", "profile": "fast"}),
        (flawforge.Error, r"settings\.toml: .*lenth", {"demo": "gear", "config": tmp_path / "settings.toml"}),
        (ValueError, "backbone is for the methods patchcore and forge", {"demo": "gear", "backbone": "w.pth"}),
        (ValueError, "steps: needs a whole number", {"demo": "gear", "steps": 1.5}),
        (flawforge.Error, "none: no such folder", {"dir": tmp_path / "none"}),
        (flawforge.Error, "none: no such folder", {"demo": "gear", "textures": tmp_path / "none"}),
        (flawforge.Error, "none", {"demo": "gear", "config": tmp_path / "none"}),
        (flawforge.Error, "file: is a file; name a folder", {"demo": "gear", "out": tmp_path / "file" / "run"}),
    ]:
        with pytest.raises(error, match=said):
            flawforge.train(**{"out": out, **SMALL, **asked})
    assert not out.exists()
    with pytest.raises(flawforge.Error, match="does not exist"):
        Detector.load(tmp_path / "none")
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    with pytest.raises(flawforge.Error, match=r"torn\.safetensors"):
        Detector.load(tmp_path / "torn.safetensors")
