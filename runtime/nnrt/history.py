"""What `Model.fit` gives back: one record an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

from nnrt.text import visible

Record = dict[str, Any]


class History(Sequence[Record]):
    """Records of epochs by number (`history[-1]`), and columns by name (`history["loss"]`).

    `interrupted` is true when Ctrl-C ended the training, `stopped` when the callback did; both
    leave the model as it was after the last step. `log_error` says what is missing in the log.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.interrupted = False
        self.stopped = False
        self.log_error: str | None = None

    def append(self, record: Record) -> None:
        self.records.append(record)

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    @overload
    def __getitem__(self, key: int) -> Record: ...
    @overload
    def __getitem__(self, key: slice) -> list[Record]: ...
    @overload
    def __getitem__(self, key: str) -> list[Any]: ...
    def __getitem__(self, key: int | slice | str) -> Any:
        if not isinstance(key, str):
            return self.records[key]
        if self.records and not any(key in record for record in self.records):
            known = ", ".join(self.records[0])
            raise KeyError(f"no record has `{key}`; there are {known}")
        return [record.get(key) for record in self.records]

    def __repr__(self) -> str:
        ended = " (interrupted)" if self.interrupted else " (stopped)" if self.stopped else ""
        last = self.records[-1] if self.records else {}
        values = ", ".join(f"{visible(name)}={value:.4g}" for name, value in last.items())
        return f"<History of {len(self)} epochs{ended}: {values}>"
