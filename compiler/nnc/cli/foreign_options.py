"""Options and commands of other tools, answered with what they are here.

Takes a command and an option that it does not have, gives what to type. Every option that is named
here exists for the command, or `nnc --help` says where; a test types each.
"""

from __future__ import annotations

import difflib

from nnc import options


def each(names: str, option: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), option)


# What other tools call an option of ours. `{value}` is the value that was given.
NAMES: dict[str, str] = {
    **each("-b -bs --batch-size --batch_size --batchsize --bs --minibatch", "--batch {value}"),
    **each(
        "-e -n --epoch --num-epochs --num_epochs --n-epochs --max-epochs --max_epochs",
        "--epochs {value}",
    ),
    **each(
        "--lr --learning-rate --learning_rate --rate --learn-rate",
        "--set learning_rate={value}",
    ),
    **each("--optimizer --optim --opt", "--set optimizer={value}"),
    **each("--loss --criterion", "--set loss={value}"),
    **each("--clip --clip-norm --grad-clip", "--set clip={value}"),
    **each(
        "--val --val-data --validation-data --validation_data --valid --val-split --test-size "
        "--validation-split --validation_split",
        "--validation {value}",
    ),
    **each(
        "-d --dataset --data-dir --data-path --data_dir --input --train-data --train",
        "--data {value}",
    ),
    **each("-q --silent", "--quiet"),
    **each("-s --random-seed --random-state --manual-seed", "--seed {value}"),
    **each("--out --output-dir --save --save-path --checkpoint --output-file", "--output {value}"),
    **each("-k --topk --top-k --top_k", "--top {value}"),
    **each("--log-dir --logdir --log-file --logfile", "--log {value}"),
    **each("-D --define --config --param --setting --hparam", "--set {value}"),
    **each("--model --model-name --arch", "--net {value}"),
    **each("--save-optimizer --resumable", "--training"),
    **each("--bf16 --bfloat16", "--store bf16"),
    **each("--ignore-bad --skip-corrupt --skip-errors", "--skip-bad"),
}

# Options of other tools that have no counterpart.
OTHERS: dict[str, str] = {
    **each(
        "--gpu --gpus --cuda --devices --cpu --no-cuda --use-gpu --accelerator -g --ngpu",
        "Nets run on the processor; `--device auto` takes the fastest device of the machine.",
    ),
    **each(
        "-j --threads --num-threads --num-workers --num_workers --workers --jobs --cores",
        "The environment sets the number of threads: `NNC_THREADS=4 nnc ...`.",
    ),
    **each(
        "-v --verbose --verbosity --debug --trace",
        "The environment asks for more: `NNC_DEBUG=1 nnc ...`.",
    ),
    **each(
        "--resume --continue --restore --load --weights --pretrained --init-from --checkpoint-path",
        "Training goes on from a file that was saved with --training: `nnc train model.nnc`.",
    ),
    **each(
        "--fp16 --amp --mixed-precision --half --dtype",
        "The types are those of the .nn file; `--store bf16` stores weights in 16 bits.",
    ),
    **each(
        "--momentum --weight-decay --weight_decay --wd",
        'It is a setting of the optimizer: `--set "optimizer=sgd(momentum = 0.9)"`.',
    ),
}


# What other tools call a command of ours.
COMMANDS: dict[str, str] = {
    **each("fit learn run", "train"),
    **each("eval test score validate measure", "evaluate"),
    **each("infer inference classify apply", "predict"),
    **each("build make export", "compile"),
    **each("format fix", "fmt"),
    **each("lint verify", "check"),
    **each("show info describe print layers inspect", "summary"),
    **each("env version-info devices system", "doctor"),
    **each("ir graph plan disassemble", "dump"),
}
# What stands without an option in a command.
PLACES: dict[str, str] = {
    "predict": "`nnc predict MODEL.nnc DATA` takes the model and the data without options.",
    "evaluate": "`nnc evaluate MODEL.nnc` takes the model without an option.",
}


def command(name: str) -> str:
    """What is said of a command that does not exist."""
    if name in COMMANDS:
        return f"`{name}` is `nnc {COMMANDS[name]}` here."
    close = difflib.get_close_matches(name, options.COMMANDS, n=1)
    return f"there is no command `{name}`." + (f" Did you mean `{close[0]}`?" if close else "")


def answer(option: str, value: str, command: str) -> str:
    """What is said of an option that the command does not have."""
    known = [name for row in options.of_command(command) for name in row.names]
    text = f"there is no argument `{option}`."
    if option in OTHERS:
        return f"{text} {OTHERS[option]}"
    place = NAMES.get(option, option).split()[0]
    if command in PLACES and place in ("--net", "--data") and place not in known:
        return f"{text} {PLACES[command]}"
    if option in NAMES:
        here = NAMES[option].format(value=quoted(value)).strip()
        if here.split()[0] in known:
            return f"`{option}` is `{here}` here."
        return f"{text} {elsewhere(here.split()[0], command)}"
    if any(option in row.names for row in options.OPTIONS if row.commands):
        return f"{text} {elsewhere(option, command)}"
    flags = [name for name in known if name.startswith("-")]
    close = difflib.get_close_matches(option, flags, n=1)
    return text + (f" Did you mean `{close[0]}`?" if close else "")


def elsewhere(option: str, command: str) -> str:
    """Which commands have an option that this one lacks."""
    having = dict.fromkeys(
        name for row in options.OPTIONS if option in row.names for name in row.commands
    )
    listed = ", ".join(f"`nnc {name}`" for name in having)
    key = option.lstrip("-")
    keys = [name for row in options.of_command(command) for name in row.names]
    if "--set" in keys and key in options.TRAINING_KEYS:
        return f"Here it is a key: `--set {key}=...`."
    return f"`{option}` belongs to {listed}."


def quoted(value: str) -> str:
    if not value:
        return "..."
    return value if all(c.isalnum() or c in "-_./=:" for c in value) else f'"{value}"'
