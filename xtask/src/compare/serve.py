"""A peer's side of a comparison: answers requests line by line until its input ends (see process.rs)."""
import sys
import time

_answers = sys.stdout
sys.stdout = sys.stderr  # whatever a library prints must not be taken for an answer


def _say(*words):
    print(*words, file=_answers, flush=True)


def skip(reason):
    """Says why this peer cannot run here, and ends."""
    _say("skip", " ".join(str(reason).split()))
    sys.exit(0)


def serve(run, check):
    """`run()` is one iteration, which is timed; `check()` gives the numbers that both sides must agree on."""
    _say("ready")
    for line in sys.stdin:
        request = line.strip()
        if request == "check":
            _say("values", *(repr(float(v)) for v in check()))
        elif request == "run":
            begun = time.perf_counter()
            run()
            _say("time", (time.perf_counter() - begun) * 1e3)
        else:
            sys.exit(f"unknown request {request!r}")
