"""What the scripts of this folder share: arguments, measuring, the line of JSON that they print."""

import argparse
import json
import time

import numpy


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--values", required=True, help="folder that the nacre program wrote")
    parser.add_argument("--results", help=".npy file for the numbers of the first runs")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["f32", "bf16", "int8"], default="f32",
                        help="that products are computed in")
    parser.add_argument("--seconds", type=float, default=1.0, help="to measure for")
    return parser


def process_peak():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def numbers_of(result):
    if hasattr(result, "detach"):
        result = result.detach().double().numpy()
    return numpy.asarray(result, dtype=numpy.float64).reshape(-1)


def measure(run, options, reference=False):
    """As nacre's bench(): three runs, then at least five in `seconds`; the median counts. A
    reference is only for its numbers."""
    values, first_at, kept = [], 0.0, 3
    for i in range(kept):
        result = run()
        first_at = first_at or time.monotonic()
        numbers = numbers_of(result)
        if i == 0 or numbers.size == 1:
            values.append(numbers)
        elif reference:
            break
    times, start = [], time.perf_counter()
    while not reference and (len(times) < 5 or time.perf_counter() - start < options.seconds):
        before = time.perf_counter()
        run()
        times.append(time.perf_counter() - before)
    peak = process_peak()
    if options.results:
        numpy.save(options.results, numpy.concatenate(values))
    median = sorted(times)[len(times) // 2] * 1000 if times else 0
    print(json.dumps({"p50_ms": median, "runs": len(times), "first_at": first_at,
                      "process_peak_bytes": peak}))
