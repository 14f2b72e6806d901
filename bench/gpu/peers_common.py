"""What peers.py and peers_training.py share: a limit for slow compilers, spreads of times, lines of JSON."""

import contextlib
import json
import signal
import statistics
import traceback

import torch

COMPILE = {"mode": "max-autotune-no-cudagraphs"}


class TooSlow(Exception):
    """A peer took longer than it was given."""


@contextlib.contextmanager
def limit(seconds):
    def expire(*_):
        raise TooSlow(f"more than {seconds} s, compilation included")

    before = signal.signal(signal.SIGALRM, expire)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def use_tf32(on):
    torch.backends.cuda.matmul.allow_tf32 = on
    torch.backends.cudnn.allow_tf32 = on


def spread(times, prefix=""):
    tenths = statistics.quantiles(times, n=10)
    return {prefix + "us": round(statistics.median(times), 3), prefix + "p10": round(tenths[0], 3),
            prefix + "p90": round(tenths[-1], 3), prefix + "repeats": len(times)}


class Report:
    """A file with a line of JSON a measurement, written as soon as it is there: whatever ends this process, it stays."""

    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8")

    def attempt(self, name, peer, measure, seconds):
        """Writes what measure() returns, or why it failed: one peer's failure is no other's."""
        try:
            with limit(seconds):
                fields = measure()
        except Exception as e:  # whatever a compiler throws
            traceback.print_exc()
            first = (str(e).strip() or "no message").splitlines()[0]
            fields = {"failed": f"{type(e).__name__}: {first}"[:300]}
            if isinstance(e, torch.OutOfMemoryError):
                torch.cuda.empty_cache()
        line = {"name": name, "peer": peer, "torch": torch.__version__, **fields}
        print(json.dumps(line), flush=True)
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
