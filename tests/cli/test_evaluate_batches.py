"""`nnc train` and `nnc evaluate`: numbers of the whole set, whatever the batch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from nnc.cli import main

NET = """
net Line {
    input x: f32[N, 3]
    output p = x -> batch_norm -> dense(1)
}

train Line {
    input t: f32[N]
    data          = "line.npz"
    loss          = sqrt(mean_squared_error(p, t))
    learning_rate = 0.01
    batch         = 4
    epochs        = 2
    metric explained = r_squared(p, t)
    metric largest = reduce_max(abs(p))
}
"""


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    x = rng.normal(size=(29, 3)).astype(np.float32)
    t = (x @ [1.0, -2.0, 0.5] + 0.1 * rng.normal(size=29)).astype(np.float32)
    np.savez("line.npz", x=x, t=t)
    Path("line.nn").write_text(NET)


def test_no_batch_changes_what_evaluate_prints(capsys: pytest.CaptureFixture[str]) -> None:
    # 29 rows in batches of 4: the last row alone has no statistics, and joins the batch before.
    assert main(["train", "line.nn", "-o", "line.nnc", "--log", "log.jsonl", "--quiet"]) == 0
    records = [json.loads(line) for line in Path("log.jsonl").read_text().splitlines()]
    assert [set(record) >= {"loss", "explained", "largest"} for record in records] == [True] * 2
    capsys.readouterr()
    texts = set()
    for batch in (1, 3, 28, 29, 256):
        assert main(["evaluate", "line.nnc", "--batch", str(batch)]) == 0
        texts.add(capsys.readouterr().out)
    assert len(texts) == 1 and "explained" in texts.pop()


def test_a_batch_of_one_is_an_error_of_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "line.nn", "-o", "line.nnc", "--batch", "1"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error[N0731]: `batch` is 1, and `p.batch_norm` (line.nn:4) takes")
    assert not Path("line.nnc").exists()
    assert main(["train", "line.nn", "--batch", "2", "--quiet"]) == 0


def test_the_program_of_the_set_can_be_seen(capsys: pytest.CaptureFixture[str]) -> None:
    for program, shown in (("evaluate_metrics", "loss"), ("train_metrics", "explained")):
        assert main(["dump", "line.nn", "--stage", "optimized", "--program", program]) == 0
        text = capsys.readouterr().out
        assert "input rows.0" in text and f"output {shown} = " in text
    Path("mean.nn").write_text(
        NET.replace("    metric explained = r_squared(p, t)\n", "")
        .replace("    metric largest = reduce_max(abs(p))\n", "")
        .replace("sqrt(mean_squared_error(p, t))", "mean_squared_error(p, t)")
    )
    assert main(["dump", "mean.nn", "--program", "evaluate_metrics"]) == 1
    assert "has no metric that is not a mean over rows" in capsys.readouterr().err
