"""A child of fork() has an engine of its own, whatever its parent's threads do at that moment."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import nnc
import numpy as np

NET = """
net X {
    input z: f32[N, 256]
    y = z -> dense(256) -> relu -> dense(256)
    output result = y
}
train X {
    input target: f32[N, 256]
    loss = mean_squared_error(y, target)
    optimizer = sgd(momentum = 0.9)
}
"""
ROWS = np.ones((256, 256), np.float32)


@contextmanager
def meanwhile(work: Callable[[], Any]) -> Iterator[None]:
    """Another thread does `work` again and again."""
    ended = threading.Event()

    def again() -> None:
        while not ended.is_set():
            work()

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def children_that_fail(work: Callable[[], None], count: int = 10) -> int:
    """Forks at different moments; a child that hangs is ended by its alarm."""
    failed = 0
    for i in range(count):
        time.sleep(0.002 * i)
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            code = 1
            try:
                work()
                code = 0
            finally:
                os._exit(code)
        failed += os.waitpid(child, 0)[1] != 0
    return failed


def test_while_another_thread_predicts() -> None:
    model = nnc.compile(NET)
    expected = model(ROWS)

    def child() -> None:
        assert np.array_equal(model(ROWS), expected)
        np.testing.assert_allclose(model(ROWS[:3]), expected[:3], rtol=1e-4)

    with meanwhile(lambda: model(ROWS)):
        assert children_that_fail(child) == 0
    assert np.array_equal(model(ROWS), expected)


def test_while_another_thread_trains() -> None:
    """The child sees the weights between two steps, can use them, and can train on by itself."""
    model = nnc.compile(NET)
    data = {"z": ROWS, "target": np.zeros_like(ROWS)}
    model.fit(data, epochs=1, progress=False)  # imports what it needs: those locks are Python's

    def child() -> None:
        assert np.isfinite(model(ROWS)).all()
        model.fit(data, epochs=1, progress=False)
        model.parameters["y.dense.weight"] = np.zeros((256, 256), np.float32)
        assert np.isfinite(model(ROWS)).all()

    with meanwhile(lambda: model.fit(data, epochs=1, batch=32, progress=False)):
        assert children_that_fail(child) == 0


def test_while_weights_are_set_and_models_are_made() -> None:
    model = nnc.compile(NET)
    weights = model.weights()

    def work() -> None:
        model.set_weights(weights)
        model(ROWS[:8])

    with meanwhile(work), meanwhile(lambda: nnc.compile(NET)(ROWS[:4])):
        assert children_that_fail(lambda: model(ROWS)) == 0


def _predict(rows: int) -> float:
    return float(_SHARED(ROWS[:rows]).sum())


_SHARED: Any = None


def test_a_pool_of_processes() -> None:
    global _SHARED
    _SHARED = nnc.compile(NET)
    expected = [_predict(rows) for rows in (1, 5, 9)]
    with meanwhile(lambda: _predict(16)), multiprocessing.get_context("fork").Pool(3) as pool:
        assert pool.map_async(_predict, (1, 5, 9)).get(timeout=60) == expected


def test_many_calls_at_once_keep_few_arenas() -> None:
    """A hundred callers take turns on as many executors as there are cores."""
    model = nnc.compile("net X { input z: f32[N, 4096]\n output y = sum(exp(z) -> softmax, -1) }")
    rows = np.zeros((1024, 4096), np.float32)
    expected = model(rows)
    before = resident()
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(model(rows))) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(result, expected) for result in results)
    results.clear()
    assert resident() - before < 8 * rows.nbytes


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
