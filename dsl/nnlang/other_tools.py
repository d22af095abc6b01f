"""What other tools call things, and what to type here in their place.

Tables only: `NAMES` of layers and functions, `MEMBERS` of values, `ARGUMENTS` of calls, `KEYS` and
`RULES` of training sections. An entry is the name to type, or a sentence that says what to do.
"""

from __future__ import annotations

from collections.abc import Mapping

# Where other tools keep their layers and functions.
LIBRARIES = frozenset(
    {"nn", "F", "torch", "tf", "tensorflow", "keras", "layers", "jax", "jnp", "lax", "flax", "np",
     "numpy", "optim", "optax", "math", "functional", "sklearn", "paddle", "mx"}
)  # fmt: skip

_RECURRENT = (
    "recurrent layers are not available yet: unroll a short sequence with "
    "`step = share dense(...)` and `for t in range(...) { h = tanh(step(concat(x[:, t], h))) }`, "
    "or use `conv1d(...)` over time"
)
_ATTENTION = "write it out: `softmax(q @ transpose(k, (0, 2, 1)) / sqrt(d)) @ v`"
_DENSE = "write `dense(...)` with the number of outputs alone; the layer counts its inputs"
_CONV = "write `conv(...)` with the number of outputs first; the layer counts its inputs"
_STEPWISE = "write `learning_rate = cosine(...)` with the first rate, or `step`, `exponential`"
_BEHIND = "write the layers one behind the other: `x -> dense(10) -> relu`"

# Layers, functions, losses, optimizers and schedules; small letters, without `_`.
NAMES: Mapping[str, str] = {
    **dict.fromkeys(("lstm", "lstmcell", "gru", "grucell", "rnn", "simplernn"), _RECURRENT),
    **dict.fromkeys(("multiheadattention", "attention", "scaleddotproductattention"), _ATTENTION),
    **dict.fromkeys(("linear", "lazylinear", "fc", "fullyconnected"), _DENSE),
    **dict.fromkeys(("conv2d", "convolution2d", "convolution"), _CONV),
    **dict.fromkeys(("sequential", "modulelist"), _BEHIND),
    **dict.fromkeys(("maxpool", "maxpool2d", "maxpooling2d", "maxpooling"), "max_pool"),
    **dict.fromkeys(("avgpool", "avgpool2d", "averagepooling2d", "averagepool"), "avg_pool"),
    **dict.fromkeys(
        ("globalaveragepooling2d", "globalavgpool2d", "adaptiveavgpool2d"),
        "write `global_avg_pool`, which takes no size",
    ),
    **dict.fromkeys(
        ("globalmaxpooling2d", "globalmaxpool2d", "adaptivemaxpool2d"),
        "write `global_max_pool`, which takes no size",
    ),
    **dict.fromkeys(
        ("batchnorm", "batchnorm1d", "batchnorm2d", "batchnormalization"),
        "write `batch_norm`, which takes no size",
    ),
    **dict.fromkeys(
        ("layernorm", "layernormalization"), "write `layer_norm`, which takes no size"
    ),
    **dict.fromkeys(("convtranspose2d", "conv2dtranspose", "deconv"), "conv_transpose"),
    **dict.fromkeys(("depthwiseconv2d", "depthwiseconv"), "depthwise_conv"),
    **dict.fromkeys(("upsampling2d", "upsample", "interpolate"), "resize"),
    **dict.fromkeys(("zeropadding2d", "zeropad2d"), "pad"),
    **dict.fromkeys(("dropout1d", "dropout2d", "spatialdropout2d"), "dropout"),
    "swish": "silu",
    "hardswish": "hard_silu",
    "leakyrelu": "leaky_relu",
    "logsoftmax": "log_softmax",
    "dense": "dense",
    "dropout": "dropout",
    "flatten": "flatten",
    "embedding": "embedding",
    "identity": "identity",
    "relu": "relu",
    "gelu": "gelu",
    "elu": "elu",
    "selu": "selu",
    "silu": "silu",
    "mish": "mish",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "softmax": "softmax",
    "softplus": "softplus",
    "activation": "write the activation itself: `x -> relu`",
    **dict.fromkeys(("cat", "concatenate"), "write `concat(a, b)`, without brackets"),
    "stack": "write `concat(a[:, None], b[:, None], axis = 1)`",
    **dict.fromkeys(("matmul", "bmm", "mm", "dot"), "write `a @ b`"),
    "where": "select",
    "maximum": "max",
    "minimum": "min",
    **dict.fromkeys(("clamp", "clip"), "clip_to"),
    "amax": "reduce_max",
    "amin": "reduce_min",
    "permute": "write `transpose(x, (...))`",
    "view": "write `reshape(x, (...))`",
    "power": "write `a ** b`",
    "pow": "write `a ** b`",
    "add": "write `a + b`",
    "multiply": "write `a * b`",
    "subtract": "write `a - b`",
    **dict.fromkeys(("mse", "mseloss", "l2loss"), "mean_squared_error"),
    **dict.fromkeys(("mae", "l1loss"), "mean_absolute_error"),
    **dict.fromkeys(("huberloss", "smoothl1loss"), "huber"),
    **dict.fromkeys(
        ("crossentropyloss", "nllloss", "sparsecategoricalcrossentropy", "categoricalcrossentropy",
         "softmaxcrossentropy", "softmaxcrossentropywithlogits", "crossentropy"),
        "cross_entropy",
    ),
    **dict.fromkeys(
        ("bceloss", "bcewithlogitsloss", "binarycrossentropy", "bce"), "binary_cross_entropy"
    ),
    "hingeloss": "hinge",
    **dict.fromkeys(
        ("cosineannealinglr", "cosinedecay", "cosineannealing"),
        "write `cosine(...)` with the first rate",
    ),
    **dict.fromkeys(("steplr", "exponentiallr", "exponentialdecay"), _STEPWISE),
}  # fmt: skip

# What values have in other tools: `x.shape`, `x.view(...)`. `{}` stands for the value.
MEMBERS: Mapping[str, str] = {
    **dict.fromkeys(("shape", "size"), "write `shape({})`"),
    **dict.fromkeys(("ndim", "dim"), "write `rank({})`"),
    **dict.fromkeys(("T", "mT", "t"), "write `transpose({})`"),
    **dict.fromkeys(("view", "reshape"), "write `reshape({}, (...))`"),
    **dict.fromkeys(("permute", "transpose"), "write `transpose({}, (...))`"),
    **dict.fromkeys(("float", "astype", "to", "type"), "write `f32({})`"),
    "double": "write `f64({})`",
    **dict.fromkeys(("long", "int"), "write `i64({})`"),
    "unsqueeze": "write `{}[:, None]`",
    "squeeze": "write `{}[:, 0]`",
    "detach": "write `stop_gradient({})`",
    **dict.fromkeys(("cuda", "cpu", "contiguous", "clone", "copy"), "write `{}` alone"),
    "max": "write `reduce_max({}, ...)`",
    "min": "write `reduce_min({}, ...)`",
    "pow": "write `{} ** ...`",
    "matmul": "write `{} @ ...`",
}

_COUNTED = "remove it: a layer counts its inputs"
_ONE_TYPE = "remove it: the inputs' types decide"
# Arguments: the names they may have here, or what to do.
ARGUMENTS: Mapping[str, tuple[str, ...] | str] = {
    **dict.fromkeys(("kernel_size", "pool_size", "window", "filter_size"), ("kernel",)),
    **dict.fromkeys(("out_channels", "filters", "num_filters"), ("channels",)),
    **dict.fromkeys(("out_features", "output_dim", "num_units"), ("units", "features")),
    **dict.fromkeys(("num_embeddings", "vocab_size"), ("words",)),
    "embedding_dim": ("features",),
    "strides": ("stride",),
    "dilation_rate": ("dilation",),
    "dim": ("axis", "axes"),
    **dict.fromkeys(("keepdims", "keepdim"), ("keep",)),
    **dict.fromkeys(("p", "drop_prob", "prob"), ("rate",)),
    "negative_slope": ("slope",),
    "use_bias": ("bias",),
    **dict.fromkeys(("kernel_initializer", "init", "embeddings_initializer"), ("initializer",)),
    "eps": ("epsilon",),
    "label_smoothing": ("smoothing",),
    **dict.fromkeys(("scale_factor", "size"), ("factor",)),
    "betas": "write two arguments: `beta1 = 0.9, beta2 = 0.999`",
    **dict.fromkeys(("lr", "learning_rate"), "set `learning_rate = ...` in the training section"),
    **dict.fromkeys(
        ("in_features", "in_channels", "input_shape", "input_dim", "num_features", "num_channels"),
        _COUNTED,
    ),
    **dict.fromkeys(("dtype", "device"), _ONE_TYPE),
    "data_format": "remove it: images are [N, height, width, channels]",
    "inplace": "remove it: values never change",
    **dict.fromkeys(
        ("activation", "act", "nonlinearity"), "write the activation behind the layer: `-> relu`"
    ),
    "name": "name the use: `... as name`",
}

_OF_OPTIMIZER = "write it into the optimizer: `optimizer = sgd(momentum = ...)`"
# Keys of training sections.
KEYS: Mapping[str, str] = {
    **dict.fromkeys(("lr", "rate", "eta"), "learning_rate"),
    **dict.fromkeys(("schedule", "scheduler", "lr_scheduler", "lr_schedule"), "learning_rate"),
    **dict.fromkeys(("batch_size", "bs", "minibatch"), "batch"),
    **dict.fromkeys(("num_epochs", "n_epochs", "nb_epoch", "epoch", "max_epochs"), "epochs"),
    **dict.fromkeys(("optim", "opt", "rule"), "optimizer"),
    **dict.fromkeys(("loss_fn", "loss_function", "criterion", "objective"), "loss"),
    **dict.fromkeys(
        ("validation_split", "validation_data", "val", "val_data", "test"), "validation"
    ),
    **dict.fromkeys(("train", "train_data", "dataset"), "data"),
    **dict.fromkeys(("random_state", "random_seed"), "seed"),
    **dict.fromkeys(
        ("metrics", "metric", "accuracy"), "write `metric accuracy = accuracy(logits, label)`"
    ),
    "momentum": _OF_OPTIMIZER,
    "nesterov": "write it into the optimizer: `optimizer = sgd(momentum = 0.9, nesterov = true)`",
    "weight_decay": "write it into the optimizer: `optimizer = adamw(weight_decay = ...)`",
    **dict.fromkeys(("l1", "l2", "regularization"), "write `regularizer = l2(...)`"),
    **dict.fromkeys(
        ("clip_norm", "clipnorm", "gradient_clipping", "grad_clip", "max_grad_norm",
         "gradient_clip_val"),
        "write `clip = by_global_norm(...)`",
    ),
    **dict.fromkeys(
        ("warmup", "warmup_epochs"), "write `learning_rate = warmup(cosine(0.1), epochs = ...)`"
    ),
    "dropout": "write it into the net: `h -> dropout(0.5)`",
    **dict.fromkeys(
        ("device", "gpu", "cuda", "accelerator", "backend"),
        "remove the line: `--device` chooses where a net runs",
    ),
    **dict.fromkeys(("dtype", "precision", "amp"), "remove the line: the inputs' types decide"),
    "verbose": "remove the line: `fit` shows nothing, and `nnc train --quiet` neither",
    **dict.fromkeys(
        ("callbacks", "callback", "early_stopping", "patience"),
        "remove the line: a function given as `fit(callback=...)` sees each epoch and may end it",
    ),
    **dict.fromkeys(
        ("threads", "num_workers", "workers"),
        "remove the line: `NNC_THREADS=4` in the environment sets the number of threads",
    ),
    "steps": "remove the line: `epochs = ...` sets how long it trains",
}  # fmt: skip

# Values that other tools give as texts.
RULES: Mapping[str, Mapping[str, str]] = {
    "optimizer": {
        "sgd": "sgd(momentum = 0.9)",
        "adam": "adam",
        "adamw": "adamw",
        "rmsprop": "rmsprop",
        "adagrad": "adagrad",
    },
    "learning_rate": {"cosine": "cosine(0.1)", "constant": "0.1"},
    "regularizer": {"l1": "l1(1e-5)", "l2": "l2(1e-4)"},
    "clip": {"norm": "by_global_norm(1.0)", "value": "by_value(1.0)"},
}


def folded(name: str) -> str:
    return name.replace("_", "").lower()


def name_help(name: str) -> str | None:
    """What to type in place of a layer or function of another tool."""
    known = NAMES.get(folded(name))
    return None if known is None else as_sentence(known)


def as_sentence(entry: str) -> str:
    return f"write `{entry}`" if entry.isidentifier() else entry
