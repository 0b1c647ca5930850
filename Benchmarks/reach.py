#!/usr/bin/env python3
"""Does everything but the cipher stay within its budget?

    swift build -c release --product sluice
    Benchmarks/reach.py [--binary .build/release/sluice] [--core N] [--tries N]

Runs `sluice bench` for every size, with 1 and with 10,000 SAs present, and subtracts what the cipher alone costs in the
same run: at most 120 cycles a packet outbound and 140 inbound (5th percentile over batches). A shared machine disturbs
some runs, in either direction, as the figure is a difference: what counts is the median of the tries.
Exit status 1 when a budget is exceeded.
"""
import argparse
import json
import statistics
import subprocess
import sys

BUDGET = {"outbound": 120, "inbound": 140}


def measure(binary, associations, core):
    command = [binary, "bench", "--json", "--sas", str(associations)]
    if core is not None:
        command += ["--core", str(core)]
    document = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return {
        (row["direction"], str(row["size"])): row["cycles_per_packet"] - row["crypto_cycles_per_packet"]
        for row in document["results"]
        if row["direction"] in BUDGET
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=".build/release/sluice")
    parser.add_argument("--core", type=int)
    parser.add_argument("--tries", type=int, default=5)
    arguments = parser.parse_args()

    exceeded = 0
    print(f"{'SAs':>6} {'direction':>9} {'size':>5} {'cycles':>7} {'budget':>7}")
    for associations in (1, 10_000):
        tries = [measure(arguments.binary, associations, arguments.core) for _ in range(arguments.tries)]
        for direction, size in tries[0]:
            value = statistics.median(one[direction, size] for one in tries)
            over = value > BUDGET[direction]
            exceeded += over
            print(
                f"{associations:>6} {direction:>9} {size:>5} {value:>7.1f} {BUDGET[direction]:>7}"
                + ("  EXCEEDED" if over else "")
            )
    return 1 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
