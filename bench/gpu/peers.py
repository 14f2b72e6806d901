"""Times in PyTorch what kernels.cpp times, under the same names and at the same shapes: peers.py FILE eager|compile

Each result is held against the same formula in fp64 (codes: against the nearest by fp64 distance) before it is timed; the
error stands beside the time. Both are also timed in a CUDA graph. With `compile` TF32 is off, then on where it matters.
"""

import functools
import sys

import torch

import peers_cases
from peers_common import COMPILE, Report, spread, use_tf32

WARM_UPS = 10
REPEATS = 50  # at least
TIMED_FOR = 0.2e6  # us of a case, as far as repeats go
CACHES = 4  # inputs of all sets together, in sizes of the cache
GRAPH_BELOW = 1000.0  # us: what takes longer gains nothing
GRAPH_LAUNCHES = 20
SECONDS = {"eager": 30, "compile": 60}  # a case


def time_launches(launch, repeats):
    events = [torch.cuda.Event(enable_timing=True) for _ in range(repeats + 1)]
    events[0].record()
    for i in range(repeats):
        launch(i)
        events[i + 1].record()
    torch.cuda.synchronize()
    return [1e3 * a.elapsed_time(b) for a, b in zip(events, events[1:])]


def time_graph(launch, launches):
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # as PyTorch wants it before a capture
        for i in range(3):
            launch(i)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for i in range(launches):
            launch(i)
    for _ in range(3):
        graph.replay()
    return [us / launches for us in time_launches(lambda _: graph.replay(), REPEATS)]


def tensors(inputs):
    return [t for t in inputs if isinstance(t, torch.Tensor)]


def sets_of(case):
    first = case.inputs()
    bytes_of_one = sum(t.numel() * t.element_size() for t in tensors(first))
    cache = getattr(torch.cuda.get_device_properties(0), "L2_cache_size", 50 << 20)
    wanted = min(max(2, 1 + CACHES * cache // bytes_of_one), 128) if bytes_of_one else 2  # an optimizer is large
    return [first] + [case.inputs() for _ in range(wanted - 1)]


def measure(case, function):
    torch.manual_seed(1)
    sets = sets_of(case)
    error = case.error(function)
    launch = lambda i: case.step(function, sets[i % len(sets)])
    for i in range(max(WARM_UPS, len(sets))):
        launch(i)
    roughly = spread(time_launches(launch, 10))["us"]
    times = time_launches(launch, int(min(1000, max(REPEATS, TIMED_FOR / roughly))))
    result = {**spread(times), "sets": len(sets), "error": error}
    if result["us"] < GRAPH_BELOW:
        try:
            result.update(spread(time_graph(launch, GRAPH_LAUNCHES), "graph_"))
        except Exception as e:  # what waits for the host cannot be captured; its other times still count
            torch.cuda.synchronize()
            result["graph_failed"] = str(e).splitlines()[0][:200]
    return result


def main(path, mode):
    if not torch.cuda.is_available():
        sys.exit("peers: PyTorch sees no CUDA device")
    report = Report(path)
    for tf32 in (False, True):
        for case in peers_cases.all_cases():
            if (tf32 and not case.products) or (mode == "compile" and case.eager_only):
                continue
            use_tf32(tf32)
            torch.compiler.reset()
            function = case.function
            if mode == "compile":
                function = torch.compile(function, dynamic=False, **COMPILE)
            peer = " ".join(filter(None, [case.variant, mode, "tf32" if tf32 else ""]))
            report.attempt(case.name, peer, functools.partial(measure, case, function), SECONDS[mode])
            torch.cuda.empty_cache()


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[2] not in SECONDS:
        sys.exit("usage: peers.py FILE eager|compile")
    main(sys.argv[1], sys.argv[2])
