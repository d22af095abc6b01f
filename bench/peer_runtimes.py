"""ONNX Runtime and OpenVINO as peers: inference of the network exported from PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from networks import Network

Step = Callable[[], Any]


def _nchw(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x


def onnx_runtime(network: Network, x: np.ndarray[Any, Any], threads: int) -> Step:
    import onnxruntime
    import peer_torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    model = peer_torch.export_onnx(network, len(x))
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    data = {"x": _nchw(x)}
    return lambda: session.run(None, data)


def openvino(network: Network, x: np.ndarray[Any, Any], threads: int) -> Step:
    """Precision hint f32: by default it runs bf16 where the processor has it."""
    import openvino as ov
    import peer_torch

    core = ov.Core()
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    model = core.compile_model(
        core.read_model(peer_torch.export_onnx(network, len(x))), "CPU", settings
    )
    request = model.create_infer_request()
    data = {"x": _nchw(x)}
    return lambda: request.infer(data)
