"""PyTorch as a peer: the networks of `networks.py` as one module, its inference and its training
step.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from networks import Network
from torch import nn

Step = Callable[[], Any]


class Net(nn.Module):
    """Runs a network function; layers are made on the first pass and met again by their order."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.function = network.function
        self.layers = nn.ModuleList()
        self.cursor = 0
        self.made = False
        with torch.no_grad():
            self(torch.zeros(2, *to_nchw_shape(network.shape)))
        self.made = True

    def forward(self, x: Any) -> Any:
        self.cursor = 0
        return self.function(self, x)

    def layer(self, make: Callable[[], nn.Module]) -> nn.Module:
        if not self.made:
            self.layers.append(make())
        found = self.layers[self.cursor]
        self.cursor += 1
        return found

    def dense(self, x: Any, units: int) -> Any:
        return self.layer(lambda: nn.Linear(x.shape[1], units))(x)

    def conv(
        self,
        x: Any,
        channels: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> Any:
        return self.layer(
            lambda: nn.Conv2d(
                x.shape[1], channels, kernel, stride, (kernel - 1) // 2, groups=groups, bias=bias
            )
        )(x)

    def conv_transpose(self, x: Any, channels: int) -> Any:
        return self.layer(lambda: nn.ConvTranspose2d(x.shape[1], channels, 2, 2))(x)

    def batch_norm(self, x: Any) -> Any:
        return self.layer(lambda: nn.BatchNorm2d(x.shape[1]))(x)

    def relu(self, x: Any) -> Any:
        return F.relu(x, inplace=True)

    def relu6(self, x: Any) -> Any:
        return F.relu6(x, inplace=True)

    def max_pool(self, x: Any, kernel: int, stride: int) -> Any:
        return F.max_pool2d(x, kernel, stride, (kernel - 1) // 2)

    def global_avg_pool(self, x: Any) -> Any:
        return x.mean((2, 3))

    def flatten(self, x: Any) -> Any:
        return x.flatten(1)

    def concat(self, a: Any, b: Any) -> Any:
        return torch.cat((a, b), 1)

    def dropout(self, x: Any, rate: float) -> Any:
        return F.dropout(x, rate, self.training)

    def channels(self, x: Any) -> int:
        return int(x.shape[1])


def to_nchw_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[2], *shape[:2]) if len(shape) == 3 else shape


def to_torch(x: np.ndarray[Any, Any], channels_last: bool) -> Any:
    t = torch.from_numpy(x)
    if t.ndim == 4:
        t = t.permute(0, 3, 1, 2)
        t = t.contiguous(
            memory_format=torch.channels_last if channels_last else torch.contiguous_format
        )
    return t


def build(network: Network, channels_last: bool) -> Net:
    torch.manual_seed(0)
    net = Net(network)
    return net.to(memory_format=torch.channels_last) if channels_last else net


def inference(
    network: Network, x: np.ndarray[Any, Any], channels_last: bool, compiled: bool
) -> Step:
    """One call in inference mode, probabilities included."""
    net: Any = build(network, channels_last).eval()
    data = to_torch(x, channels_last)

    def forward(t: Any) -> Any:
        return torch.softmax(net(t), 1)

    run = torch.compile(forward) if compiled else forward

    def step() -> Any:
        with torch.inference_mode():
            return run(data)

    return step


def training(
    network: Network,
    x: np.ndarray[Any, Any],
    labels: np.ndarray[Any, Any],
    channels_last: bool,
    compiled: bool,
) -> Step:
    """One step of SGD with momentum: zero, forward, loss, backward, update."""
    net: Any = build(network, channels_last).train()
    data, target = to_torch(x, channels_last), torch.from_numpy(labels)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

    def loss_of(t: Any, y: Any) -> Any:
        return F.cross_entropy(net(t), y)

    run = torch.compile(loss_of) if compiled else loss_of

    def step() -> Any:
        optimizer.zero_grad(set_to_none=True)
        loss = run(data, target)
        loss.backward()
        optimizer.step()
        return loss

    return step


def parameters(network: Network) -> int:
    return sum(p.numel() for p in build(network, False).parameters())


def export_onnx(network: Network, batch: int) -> bytes:
    """The network with softmax as ONNX, fixed batch, NCHW."""
    import io

    net = build(network, False).eval()

    class Probabilities(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Any) -> Any:
            return torch.softmax(self.net(x), 1)

    example = torch.zeros(batch, *to_nchw_shape(network.shape))
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Probabilities().eval(),
            (example,),
            buffer,
            dynamo=False,
            opset_version=17,
            input_names=["x"],
            output_names=["y"],
        )
    return buffer.getvalue()
