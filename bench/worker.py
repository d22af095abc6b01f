"""One peer on one network in a process of its own: builds, warms up, then runs when told to.

`python worker.py PEER NETWORK inference|training BATCH THREADS`. Prints one JSON line when ready;
for each line `go SECONDS` on standard input runs one step, then for about that long, and prints the
times of the single steps after the first in seconds.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
EXAMPLES = Path(__file__).parents[1] / "examples"
Step = Callable[[], Any]


def nnc_step(network: Any, kind: str, x: Any, labels: Any) -> tuple[Step, dict[str, Any]]:
    import nnc

    model = nnc.compile(EXAMPLES / network.example, net=network.net)
    if kind == "inference":
        return (lambda: model(x)), {}
    columns = [labels if item["dtype"] == "i64" else x for item in model.training["inputs"]]

    def step() -> Any:
        return model.engine.loop("train", columns, len(x), clock_steps=1000)

    about = model.describe("train", N=len(x))
    return step, {key: about[key] for key in ("arena_bytes", "lower_bound_bytes")}


def make(
    peer: str, network: Any, kind: str, batch: int, threads: int
) -> tuple[Step, dict[str, Any]]:
    random = np.random.default_rng(0)
    x = random.random((batch, *network.shape), dtype=np.float32)
    labels = random.integers(0, network.classes, (batch, *network.labels)).astype(np.int64)
    if peer == "nnc":
        return nnc_step(network, kind, x, labels)
    if peer.startswith("torch"):
        import peer_torch
        import torch

        torch.set_num_threads(threads)
        last, compiled = "NHWC" in peer, "compile" in peer
        if kind == "inference":
            return peer_torch.inference(network, x, last, compiled), {}
        return peer_torch.training(network, x, labels, last, compiled), {}
    if peer == "JAX":
        import peer_jax

        return (
            peer_jax.inference(network, x)
            if kind == "inference"
            else peer_jax.training(network, x, labels)
        ), {}
    import peer_runtimes

    run = peer_runtimes.onnx_runtime if peer == "ONNX Runtime" else peer_runtimes.openvino
    return run(network, x, threads), {}


def main() -> None:
    from networks import NETWORKS

    warnings.simplefilter("ignore")
    peer, name, kind, batch, threads = (
        sys.argv[1],
        sys.argv[2],
        sys.argv[3],
        int(sys.argv[4]),
        int(sys.argv[5]),
    )
    out = os.fdopen(os.dup(1), "w")  # libraries may print: the protocol has a channel of its own
    os.dup2(2, 1)
    network = next(n for n in NETWORKS if n.name == name)
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    step, more = make(peer, network, kind, batch, threads)
    for _ in range(3):
        step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ready = {
        "ready": True,
        "setup": time.perf_counter() - started,
        "peak_mb": (peak - base) / 1024,
        **more,
    }
    print(json.dumps(ready), file=out, flush=True)
    for line in sys.stdin:
        seconds = float(line.split()[1])
        step()  # not timed: the other peers' turns have taken caches, pages and clock away
        times: list[float] = []
        end = time.perf_counter() + seconds
        while not times or time.perf_counter() < end:
            begin = time.perf_counter()
            step()
            times.append(time.perf_counter() - begin)
        print(json.dumps(times), file=out, flush=True)


if __name__ == "__main__":
    main()
