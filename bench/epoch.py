"""An epoch of examples/fashion.nn on Fashion-MNIST, nnc beside PyTorch eager, interleaved in one
run.

Same net, batch, optimizer and data; PyTorch in channels_last, data in memory, the same number of
threads. Prints the median epoch of each, their ratio, and the accuracies. Run it alone on the
machine: `python bench/epoch.py --epochs 3`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

EXAMPLES = Path(__file__).parents[1] / "examples"


class TorchFashion:
    """The net and recipe of fashion.nn (dropout 0.4, Adam, cosine from 0.002, l2 of 1e-5 on
    weights).
    """

    def __init__(self, batch: int, epochs: int, samples: int) -> None:
        import torch
        from torch import nn

        self.torch, self.batch = torch, batch
        self.net: Any = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.4),
            nn.Linear(64 * 49, 256),
            nn.ReLU(),
            nn.Dropout(0.4),
            nn.Linear(256, 10),
        ).to(memory_format=torch.channels_last)
        weights = [p for p in self.net.parameters() if p.ndim > 1]
        offsets = [p for p in self.net.parameters() if p.ndim == 1]
        groups = [{"params": weights, "weight_decay": 2e-5}, {"params": offsets}]
        self.optimizer = torch.optim.Adam(groups, lr=0.002)
        steps = epochs * -(-samples // batch)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, steps)
        self.loss = nn.CrossEntropyLoss()

    def epoch(self, images: Any, labels: Any) -> None:
        torch = self.torch
        self.net.train()
        order = torch.randperm(len(images))
        for start in range(0, len(images), self.batch):
            rows = order[start : start + self.batch]
            x = (images[rows].float() / 255).contiguous(memory_format=torch.channels_last)
            self.optimizer.zero_grad(set_to_none=True)
            self.loss(self.net(x), labels[rows]).backward()
            self.optimizer.step()
            self.schedule.step()

    def accuracy(self, images: Any, labels: Any) -> float:
        torch = self.torch
        self.net.eval()
        with torch.no_grad():
            parts = [self.net(x.float() / 255).argmax(1) for x in images.split(500)]
        return float((torch.cat(parts) == labels).float().mean())


def main() -> None:
    import nnc
    import torch
    from nnrt import data

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)

    model = nnc.compile(EXAMPLES / "fashion.nn")
    folder = EXAMPLES / "data" / "fashion-mnist"
    inputs = model.training["inputs"]
    train, test = data.open(folder, inputs), data.open(f"{folder}#test", inputs)
    images = torch.from_numpy(np.ascontiguousarray(train["image"].transpose(0, 3, 1, 2)))
    labels = torch.from_numpy(train["label"])
    test_images = torch.from_numpy(np.ascontiguousarray(test["image"].transpose(0, 3, 1, 2)))
    peer = TorchFashion(model.training["batch"], arguments.epochs, len(images))

    ours, theirs = [], []

    def between(_: Any = None) -> None:
        start = time.perf_counter()
        peer.epoch(images, labels)
        theirs.append(time.perf_counter() - start)

    history = model.fit(
        train,
        epochs=arguments.epochs,
        validation=test,
        progress=False,
        callback=lambda record: between(),
    )
    ours = [record["seconds"] for record in history]
    found = model.evaluate(test)["accuracy"]
    theirs_accuracy = peer.accuracy(test_images, torch.from_numpy(test["label"]))
    a, b = statistics.median(ours), statistics.median(theirs)
    print(
        f"batch {model.training['batch']}, {arguments.threads} threads, f32, "
        f"torch {torch.__version__}"
    )
    print(f"epoch: nnc {a:.2f} s, PyTorch eager {b:.2f} s, ratio {b / a:.2f}")
    print(
        f"test accuracy after {arguments.epochs} epochs: nnc {found:.4f}, "
        f"PyTorch {theirs_accuracy:.4f}"
    )


if __name__ == "__main__":
    main()
