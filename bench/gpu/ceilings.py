"""The bf16 ceiling: how fast this GPU multiplies square matrices through PyTorch (cuBLAS).

Writes one JSON object to the file named on the command line.
"""

import json
import statistics
import sys

import torch

SIZE = 8192
SETS = 3  # inputs take turns; one set is 384 MiB, several times the cache
WARM_UPS = 10
LAUNCHES = 60
CHECKED_ROWS = 16


def verify(a, b, product):
    """Some rows of the product against fp64: bf16's rounding of the result, plus fp32 accumulation."""
    wide_a, wide_b = a[:CHECKED_ROWS].double(), b.double()
    expected = wide_a @ wide_b
    magnitude = wide_a.abs() @ wide_b.abs()
    allowed = 2**-8 * expected.abs() + a.shape[1] ** 0.5 * 2**-23 * magnitude
    excess = ((product[:CHECKED_ROWS].double() - expected).abs() / allowed).max().item()
    if not excess <= 1:  # NaN fails too
        sys.exit(f"ceilings: the product is wrong: {excess:.3g} times the allowed error")


def main(path):
    if not torch.cuda.is_available():
        sys.exit("ceilings: PyTorch sees no CUDA device")
    torch.manual_seed(1)
    # Random values: a product of zeros draws less power and runs faster.
    draw = lambda: torch.randn(SIZE, SIZE, device="cuda", dtype=torch.bfloat16)
    sets = [(draw(), draw(), torch.full((SIZE, SIZE), float("nan"), device="cuda", dtype=torch.bfloat16))
            for _ in range(SETS)]
    for a, b, out in sets:
        torch.matmul(a, b, out=out)
        verify(a, b, out)

    for i in range(WARM_UPS):
        a, b, out = sets[i % SETS]
        torch.matmul(a, b, out=out)
    events = [torch.cuda.Event(enable_timing=True) for _ in range(LAUNCHES + 1)]
    events[0].record()
    for i in range(LAUNCHES):
        a, b, out = sets[i % SETS]
        torch.matmul(a, b, out=out)
        events[i + 1].record()
    torch.cuda.synchronize()

    flops = 2 * SIZE**3
    rates = [flops / (start.elapsed_time(end) * 1e9) for start, end in zip(events, events[1:])]
    tenths = statistics.quantiles(rates, n=10)
    result = {
        "what": f"bf16 product of {SIZE} x {SIZE} matrices, PyTorch {torch.__version__}",
        "unit": "TFLOP/s",
        "launches": LAUNCHES,
        "median": round(statistics.median(rates), 1),
        "p10": round(tenths[0], 1),
        "p90": round(tenths[-1], 1),
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main(sys.argv[1])
