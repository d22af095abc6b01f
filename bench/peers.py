"""Whole networks, inference and training step: nnc against PyTorch, JAX, ONNX Runtime and OpenVINO.

Each peer runs in a process of its own; they take turns, many short rounds, one at a time, each of
which begins with a step that is not timed. Figures are medians; ratios are best peer / nnc, so
above 1 nnc is faster: of the medians, and of the times that a tenth of the steps stayed below,
which say more on a machine that others slow down. Run it alone on the machine:

    python bench/peers.py                                 all rows, to bench/results/peers.md and
        .json
    python bench/peers.py --only LeNet,ResNet-50 --kinds training --peers nnc,torch-NHWC
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nnc
from networks import NETWORKS

HERE = Path(__file__).parent
MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "99999999999"}
TORCH = ("torch-NCHW", "torch-NHWC", "torch-NHWC-malloc", "torch-compile-NHWC")
PEERS = {"inference": (*TORCH, "JAX", "ONNX Runtime", "OpenVINO"), "training": (*TORCH, "JAX")}


class Worker:
    """A peer's process, told when to run."""

    def __init__(self, peer: str, network: str, kind: str, batch: int, threads: int) -> None:
        count = str(threads)
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": count,
            "MKL_NUM_THREADS": count,
            "NNC_THREADS": count,
        }
        environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=true"
        if peer.endswith("-malloc"):
            environment.update(MALLOC)
        command = [
            sys.executable,
            str(HERE / "worker.py"),
            peer.removesuffix("-malloc"),
            network,
            kind,
            str(batch),
            count,
        ]
        self.peer = peer
        self.times: list[float] = []
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment,
        )
        line = self.process.stdout.readline() if self.process.stdout else ""
        self.ready: dict[str, Any] = json.loads(line) if line else {}

    def run(self, seconds: float) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"go {seconds}\n")
        self.process.stdin.flush()
        self.times += json.loads(self.process.stdout.readline())

    def close(self) -> str:
        self.process.communicate()
        self.errors.seek(0)
        errors = self.errors.read()
        self.errors.close()
        return errors


def measure(
    network: Any, kind: str, batch: int, peers: list[str], options: argparse.Namespace
) -> dict[str, Any]:
    """One row: every peer's median seconds a step, and what it needed."""
    workers, failed = [], {}
    for peer in peers:
        worker = Worker(peer, network.name, kind, batch, options.threads)
        if worker.ready:
            workers.append(worker)
        else:
            failed[peer] = worker.close().strip().splitlines()[-1:]
    for _ in range(options.rounds):
        for worker in workers:
            time.sleep(0.3)  # let the other pools' threads go to sleep
            worker.run(options.seconds)
    for worker in workers:
        worker.close()
    return {
        "network": network.name,
        "kind": kind,
        "batch": batch,
        "seconds": {w.peer: statistics.median(w.times) for w in workers},
        "fast_seconds": {w.peer: sorted(w.times)[len(w.times) // 10] for w in workers},
        "ready": {w.peer: w.ready for w in workers},
        "failed": failed,
    }


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def versions() -> dict[str, str]:
    found = {
        "python": platform.python_version(),
        "processor": processor(),
        "nnc": nnc.__version__,
    }
    for name in ("numpy", "torch", "jax", "onnxruntime", "openvino"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def ratio(seconds: dict[str, float]) -> str:
    """The best peer's time over nnc's."""
    others = [value for peer, value in seconds.items() if peer != "nnc"]
    return f"{min(others) / seconds['nnc']:.2f}" if others and "nnc" in seconds else "-"


def table(rows: list[dict[str, Any]], about: dict[str, str], threads: int) -> str:
    """The rows as Markdown: milliseconds of each, and best peer / nnc."""
    lines = [
        f"{about['processor']}, {threads} threads, f32. "
        + ", ".join(f"{k} {v}" for k, v in about.items() if k != "processor"),
        "",
    ]
    for kind in ("inference", "training"):
        of_kind = [row for row in rows if row["kind"] == kind]
        if not of_kind:
            continue
        peers = [p for p in PEERS[kind] if any(p in row["seconds"] for row in of_kind)]
        lines += [
            f"### {kind}, ms (median)",
            "",
            f"| network | batch | nnc | {' | '.join(peers)} | best peer / nnc | fastest tenth |",
        ]
        lines.append("|" + " --- |" * (len(peers) + 5))
        for row in of_kind:
            seconds = row["seconds"]
            cells = [f"{seconds[p] * 1e3:.2f}" if p in seconds else "-" for p in ("nnc", *peers)]
            cells += [f"**{ratio(seconds)}**", ratio(row["fast_seconds"])]
            lines.append(f"| {row['network']} | {row['batch']} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def save(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """What has been measured so far, as Markdown and JSON."""
    options.output.parent.mkdir(parents=True, exist_ok=True)
    about = versions()
    options.output.with_suffix(".md").write_text(table(rows, about, options.threads))
    data = {"about": about, "threads": options.threads, "precision": "f32", "rows": rows}
    options.output.with_suffix(".json").write_text(json.dumps(data, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", help="networks, separated by commas")
    parser.add_argument("--kinds", default="inference,training")
    parser.add_argument("--batches", help="batches for inference, in place of each network's own")
    parser.add_argument("--peers", help="peers, separated by commas (nnc is always there)")
    parser.add_argument("--threads", type=int, default=2)
    # Many short turns: a machine that changes its speed meanwhile does so for all alike.
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "peers")
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else [n.name for n in NETWORKS]
    rows = []
    for network in NETWORKS:
        for kind in options.kinds.split(","):
            if network.name not in chosen:
                continue
            batches = network.inference if kind == "inference" else (network.training,)
            if options.batches and kind == "inference":
                batches = tuple(int(b) for b in options.batches.split(","))
            allowed = options.peers.split(",") if options.peers else PEERS[kind]
            peers = ["nnc", *(p for p in PEERS[kind] if p in allowed)]
            for batch in batches:
                rows.append(measure(network, kind, batch, peers, options))
                print(table(rows[-1:], versions(), options.threads).splitlines()[-1], flush=True)
                for peer, why in rows[-1]["failed"].items():
                    print(f"  {peer} failed: {' '.join(why)}", flush=True)
                save(rows, options)


if __name__ == "__main__":
    main()
