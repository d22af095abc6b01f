"""The benchmark networks, written once over a `Layers` interface that PyTorch and JAX each
implement.

A network takes a `Layers` and an image or feature tensor and gives logits. Each names the `.nn`
example that is the same net; parameter counts of all implementations are compared before anything
is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Layers(Protocol):
    """What a peer offers. Parameters are made on the first pass and met again, in order, on each
    later one.
    """

    def dense(self, x: Any, units: int) -> Any: ...

    def conv(
        self,
        x: Any,
        channels: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> Any: ...

    def conv_transpose(self, x: Any, channels: int) -> Any: ...

    def batch_norm(self, x: Any) -> Any: ...

    def relu(self, x: Any) -> Any: ...

    def relu6(self, x: Any) -> Any: ...

    def max_pool(self, x: Any, kernel: int, stride: int) -> Any: ...

    def global_avg_pool(self, x: Any) -> Any: ...

    def flatten(self, x: Any) -> Any: ...

    def concat(self, a: Any, b: Any) -> Any: ...

    def dropout(self, x: Any, rate: float) -> Any: ...

    def channels(self, x: Any) -> int: ...


def mlp(net: Layers, x: Any) -> Any:
    x = net.relu(net.dense(x, 512))
    x = net.relu(net.dense(x, 512))
    return net.dense(x, 10)


def lenet(net: Layers, x: Any) -> Any:
    x = net.max_pool(net.relu(net.conv(x, 32, 3)), 2, 2)
    x = net.max_pool(net.relu(net.conv(x, 64, 3)), 2, 2)
    x = net.relu(net.dense(net.flatten(x), 128))
    return net.dense(x, 10)


def conv_norm(
    net: Layers, x: Any, channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> Any:
    return net.batch_norm(net.conv(x, channels, kernel, stride, groups, bias=False))


def plain(net: Layers, x: Any, width: int, stride: int) -> Any:
    body = net.relu(conv_norm(net, x, width, 3, stride))
    body = conv_norm(net, body, width, 3)
    skip = x if stride == 1 and net.channels(x) == width else conv_norm(net, x, width, 1, stride)
    return net.relu(body + skip)


def resnet20(net: Layers, x: Any) -> Any:
    x = net.relu(conv_norm(net, x, 16, 3))
    for width, stride in [(16, 1), (32, 2), (64, 2)]:
        for i in range(3):
            x = plain(net, x, width, stride if i == 0 else 1)
    return net.dense(net.global_avg_pool(x), 10)


def resnet18(net: Layers, x: Any) -> Any:
    x = net.max_pool(net.relu(conv_norm(net, x, 64, 7, 2)), 3, 2)
    for width, stride in [(64, 1), (128, 2), (256, 2), (512, 2)]:
        x = plain(net, plain(net, x, width, stride), width, 1)
    return net.dense(net.global_avg_pool(x), 1000)


def bottleneck(net: Layers, x: Any, width: int, stride: int) -> Any:
    body = net.relu(conv_norm(net, x, width, 1))
    body = net.relu(conv_norm(net, body, width, 3, stride))
    body = conv_norm(net, body, 4 * width, 1)
    same = stride == 1 and net.channels(x) == 4 * width
    skip = x if same else conv_norm(net, x, 4 * width, 1, stride)
    return net.relu(body + skip)


def resnet50(net: Layers, x: Any) -> Any:
    x = net.max_pool(net.relu(conv_norm(net, x, 64, 7, 2)), 3, 2)
    for width, depth, stride in [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)]:
        for i in range(depth):
            x = bottleneck(net, x, width, stride if i == 0 else 1)
    return net.dense(net.global_avg_pool(x), 1000)


def vgg16(net: Layers, x: Any) -> Any:
    for width, depth in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]:
        for _ in range(depth):
            x = net.relu(net.conv(x, width, 3))
        x = net.max_pool(x, 2, 2)
    x = net.flatten(x)
    for _ in range(2):
        x = net.dropout(net.relu(net.dense(x, 4096)), 0.5)
    return net.dense(x, 1000)


def inverted_residual(net: Layers, x: Any, channels: int, stride: int, expansion: int) -> Any:
    wide = x if expansion == 1 else net.relu6(conv_norm(net, x, expansion * net.channels(x), 1))
    body = net.relu6(conv_norm(net, wide, net.channels(wide), 3, stride, groups=net.channels(wide)))
    body = conv_norm(net, body, channels, 1)
    return x + body if stride == 1 and net.channels(x) == channels else body


def mobilenet(net: Layers, x: Any) -> Any:
    x = net.relu6(conv_norm(net, x, 32, 3, 2))
    table = [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ]
    for expansion, channels, depth, stride in table:
        for i in range(depth):
            x = inverted_residual(net, x, channels, stride if i == 0 else 1, expansion)
    x = net.relu6(conv_norm(net, x, 1280, 1))
    return net.dense(net.dropout(net.global_avg_pool(x), 0.2), 1000)


def unet(net: Layers, x: Any) -> Any:
    def twice(x: Any, channels: int) -> Any:
        return net.relu(net.conv(net.relu(net.conv(x, channels, 3)), channels, 3))

    skips = []
    for width in (16, 32, 64):
        x = twice(x, width)
        skips.append(x)
        x = net.max_pool(x, 2, 2)
    x = twice(x, 128)
    for width in (64, 32, 16):
        x = twice(net.concat(net.conv_transpose(x, width), skips.pop()), width)
    return net.conv(x, 2, 1)


@dataclass(frozen=True)
class Network:
    """`shape`: of one sample, channels last. `labels`: of one sample. `batches`: for inference and
    for training.
    """

    name: str
    example: str
    net: str
    function: Callable[[Layers, Any], Any]
    shape: tuple[int, ...]
    classes: int
    labels: tuple[int, ...]
    inference: tuple[int, ...]
    training: int


NETWORKS = (
    Network("MLP", "mlp.nn", "MLP", mlp, (784,), 10, (), (1, 128), 128),
    Network("LeNet", "lenet.nn", "LeNet", lenet, (28, 28, 1), 10, (), (1, 128), 128),
    Network(
        "ResNet-20", "resnet_small.nn", "ResNet20", resnet20, (32, 32, 3), 10, (), (1, 128), 128
    ),
    Network(
        "ResNet-18", "resnet_small.nn", "ResNet18", resnet18, (224, 224, 3), 1000, (), (1, 16), 16
    ),
    Network("ResNet-50", "resnet.nn", "ResNet50", resnet50, (224, 224, 3), 1000, (), (1, 16), 8),
    Network("VGG-16", "vgg.nn", "VGG16", vgg16, (224, 224, 3), 1000, (), (1, 8), 4),
    Network(
        "MobileNetV2",
        "mobilenet.nn",
        "MobileNetV2",
        mobilenet,
        (224, 224, 3),
        1000,
        (),
        (1, 16),
        16,
    ),
    Network("U-Net", "unet.nn", "UNet", unet, (128, 128, 3), 2, (128, 128), (1, 8), 8),
)
