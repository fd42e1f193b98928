"""The hummingbird engine: forests and dense linear models as tensor programs on PyTorch, the rest of the plan by the
portable executor.

The artifact holds plain validated arrays; the programs are rebuilt from them in memory. Hummingbird's own `load` and
TorchScript never see a byte of a file. Programs run on the CPU, or on the device that the environment variable
SLIMML_DEVICE names: `cuda`, `cuda:1`, or `auto` for cuda where there is one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from slimml._optional import require
from slimml.artifact.read import Artifact
from slimml.errors import UsageError
from slimml.runtime.engines.portable import PortableEngine

if TYPE_CHECKING:
    import numpy as np

    from slimml.ir.node import Node
    from slimml.ir.ops.models import Forest, Linear, LinearTable

# Rows x (trees + columns) that a program takes at once: what a CPU's cache holds, what fills a GPU.
_AT_ONCE = {"cpu": 1 << 18, "cuda": 1 << 24}


class TorchEngine(PortableEngine):
    """The portable executor with tensor programs for the models. One thread a call unless `threads` says otherwise."""

    def __init__(self, artifact: Artifact, threads: int | None) -> None:
        require("torch", "hummingbird")
        require("hummingbird", "hummingbird")
        self.device = device()
        super().__init__(artifact, threads)

    def kernel(self, node: Node) -> Callable[..., Any]:
        """A tensor program for a forest or a dense linear model, the reference for any other op."""
        from slimml.ir.ops.models import Forest, Linear, LinearTable

        if isinstance(node, Forest):
            return ForestProgram(node, self.device, self.threads or 1)
        if isinstance(node, Linear) and node.source.layout == "dense":
            return LinearProgram(node, self.device, self.threads or 1)
        if isinstance(node, LinearTable) and all(x.type.layout == "dense" for x in node.inputs):
            return TableProgram(node, self.device, self.threads or 1)
        return super().kernel(node)


class ForestProgram:
    """What Forest.evaluate does: the program finds the leaves, and they are added as the reference adds them."""

    def __init__(self, node: Forest, device: str, threads: int) -> None:
        from slimml.runtime.engines.tensor_trees import TreeProgram

        self._trees, self._device, self._threads = node.trees, device, threads
        self._program = TreeProgram(node.trees, device)
        at_once = _AT_ONCE[device.partition(":")[0]]
        self._rows = max(1, at_once // (node.trees.count + node.source.width))

    def __call__(self, ranks: np.ndarray) -> np.ndarray:
        """Ranks int32 (n, width), -1 is missing, to sums float64 (n, k)."""
        import numpy as np

        parts = [self._part(ranks[i : i + self._rows]) for i in range(0, max(1, len(ranks)), self._rows)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _part(self, ranks: np.ndarray) -> np.ndarray:
        import torch

        from slimml.ir import forest

        with threads_of(self._threads), torch.inference_mode():
            leaves = self._program(torch.from_numpy(ranks).to(self._device)).cpu().numpy()
        return forest.sums(self._trees, leaves)


class LinearProgram:
    """What Linear.evaluate does, as Hummingbird's LinearModel does it; but that one rounds rows to float32 first."""

    def __init__(self, node: Linear, device: str, threads: int) -> None:
        from slimml.runtime.engines.tensor_trees import tensor

        self._device, self._threads = device, threads
        self._weights, self._bias = tensor(node.weights.T, device), tensor(node.bias, device)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """float64 (n, width) to float64 (n, k)."""
        import numpy as np
        import torch

        with threads_of(self._threads), torch.inference_mode():
            block = torch.from_numpy(np.ascontiguousarray(x)).to(self._device)
            answer: np.ndarray = torch.addmm(self._bias, block, self._weights).cpu().numpy()
        return answer


class TableProgram:
    """What LinearTable.evaluate does: a product, and rows of a table that are gathered and added up."""

    def __init__(self, node: LinearTable, device: str, threads: int) -> None:
        from slimml.runtime.engines.tensor_trees import tensor

        self._node, self._device, self._threads = node, device, threads
        self._weights, self._bias = tensor(node.weights.T, device), tensor(node.bias, device)
        self._missing, self._table = tensor(node.missing.T, device), tensor(node.table, device)

    def __call__(self, *values: np.ndarray) -> np.ndarray:
        """float64 (n, width), int32 (n, codes), or both, to float64 (n, k)."""
        import numpy as np
        import torch

        node, total = self._node, self._bias
        with threads_of(self._threads), torch.inference_mode():
            if node.numbers:
                absent = np.isnan(values[0][:, node.gaps]).astype(np.float64)
                total = torch.addmm(total, self._on_device(node.present(values[0])), self._weights)
                total = torch.addmm(total, self._on_device(absent), self._missing) if absent.any() else total
            if node.codes:
                total = total + self._table[self._on_device(node.places(values[-1]))].sum(dim=1)
            answer: np.ndarray = total.cpu().numpy()
        return answer

    def _on_device(self, block: np.ndarray) -> Any:
        import numpy as np
        import torch

        return torch.from_numpy(np.ascontiguousarray(block)).to(self._device)


def device() -> str:
    """The device that SLIMML_DEVICE asks for. Raises UsageError where torch has none of the kind."""
    import torch

    asked = os.environ.get("SLIMML_DEVICE") or "cpu"
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = asked.partition(":")
    count = {"cpu": 1, "cuda": torch.cuda.device_count()}.get(kind, 0)
    if not (number or "0").isdecimal() or int(number or 0) >= count:
        raise UsageError(
            f"SLIMML_DEVICE is {asked!r}, and torch sees no such device that computes in double",
            hint="Set it to cpu, cuda, cuda:NUMBER or auto.",
        )
    return asked


@contextmanager
def threads_of(count: int) -> Iterator[None]:
    """`count` threads for torch's operations in this thread; a server's own setting comes back."""
    import torch

    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
