"""What a process of Python expects: threads go on, signals come through, forks work, documentation is there."""

from __future__ import annotations

import inspect
import multiprocessing
import os
import signal
import sys
import threading
import time
from importlib import metadata, resources

import numpy as np
import pytest

import flawforge


def test_other_threads_go_on_meanwhile() -> None:
    many = flawforge.Textures().draw(256, (256, 256))
    counted, done = 0, threading.Event()

    def count() -> None:
        nonlocal counted
        while not done.is_set():
            counted += 1
            time.sleep(0.001)

    counting = threading.Thread(target=count)
    counting.start()
    try:
        before = counted
        flawforge.simulate(many, clean_probability=0.0)
        during = counted - before
    finally:
        done.set()
        counting.join()
    # With the GIL held there would be none but one at the beginning.
    assert during >= 3


def test_threads_may_share_a_simulation(parts: np.ndarray) -> None:
    simulation = flawforge.Simulation()
    expected = [simulation.draw(parts, seed).images for seed in range(4)]
    found: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda seed=seed: found.update({seed: simulation.draw(parts, seed).images}))
        for seed in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[seed], expected[seed]) for seed in range(4))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs unix: timers that send signals")
def test_an_interrupt_ends_a_large_batch() -> None:
    part = np.full((200, 200, 3), 90, np.uint8)
    simulation = flawforge.Simulation(clean_probability=0.0)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        begun = time.perf_counter()
        with pytest.raises(KeyboardInterrupt):
            for step in range(1000):
                simulation.draw([part] * 1000, step=step)
        assert time.perf_counter() - begun < 60
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _in_child(parts: np.ndarray, run: str) -> tuple[bytes, float, str]:
    images = flawforge.simulate(parts, seed=3).images.tobytes()
    score = float(flawforge.Detector.load(run).score(parts).scores[0])
    try:
        flawforge.train(demo="gear", out=os.path.join(run, "never"), method="lin-yan", profile="smoke", steps=1)
        said = "trained"
    except flawforge.Error as fault:
        said = str(fault)
    return images, score, said


@pytest.mark.skipif(sys.platform != "linux", reason="needs linux: forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(parts: np.ndarray, run: flawforge.Report) -> None:
    images = flawforge.simulate(parts, seed=3).images.tobytes()
    score = float(flawforge.Detector.load(run.run).score(parts).scores[0])
    with multiprocessing.get_context("fork").Pool(2) as pool:
        asked = [pool.apply_async(_in_child, (parts, str(run.run))) for _ in range(3)]
        for answer in asked:
            found = answer.get(timeout=300)
            assert found[:2] == (images, score)
            assert "forked" in found[2]


@pytest.mark.parametrize("threads", ["1", "3"])
def test_the_number_of_threads_changes_nothing(threads: str, parts: np.ndarray) -> None:
    import subprocess

    script = (
        "import sys, numpy, flawforge\n"
        "parts = numpy.frombuffer(sys.stdin.buffer.read(), numpy.uint8).reshape(6, 40, 48, 3)\n"
        "sys.stdout.buffer.write(flawforge.simulate(parts, seed=3).images.tobytes())\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        input=parts.tobytes(),
        env={**os.environ, "RAYON_NUM_THREADS": threads},
        capture_output=True,
        check=True,
    )
    assert found.stdout == flawforge.simulate(parts, seed=3).images.tobytes()


def test_everything_public_is_documented_and_typed() -> None:
    assert flawforge.__version__ == metadata.version("flawforge")
    files = {file.name for file in resources.files("flawforge").iterdir()}
    assert {"py.typed", "_flawforge.pyi"} <= files
    assert {file.name for file in metadata.files("flawforge")} >= {"LICENSE-MIT", "LICENSE-APACHE"}
    for name in flawforge.__all__:
        thing = getattr(flawforge, name)
        assert name == "__version__" or inspect.getdoc(thing), name
        members = vars(thing).items() if inspect.isclass(thing) or inspect.ismodule(thing) else []
        for member, value in members:
            value = getattr(value, "__func__", value)
            if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
                assert inspect.getdoc(value), f"{name}.{member}"
                function = value.fget if isinstance(value, property) else value
                assert "return" in function.__annotations__, f"{name}.{member}"


def test_the_stub_names_what_the_module_has() -> None:
    import ast

    from flawforge import _flawforge

    stub = ast.parse(resources.files("flawforge").joinpath("_flawforge.pyi").read_text())
    named = {node.name: node for node in stub.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    there = {name for name in vars(_flawforge) if not name.startswith("_")}
    assert there == set(named)
    for name, node in named.items():
        thing = getattr(_flawforge, name)
        if isinstance(node, ast.FunctionDef):
            expected = [argument.arg for argument in node.args.args]
            assert list(inspect.signature(thing).parameters) == expected, name
        elif name != "Error":
            members = {one.name for one in node.body if isinstance(one, ast.FunctionDef)} - {"__new__"}
            assert {member for member in vars(thing) if not member.startswith("_")} == members, name
