"""Arrays in a joblib stream: a wrapper object that describes them, then padding, then their bytes."""

from __future__ import annotations

from typing import Any

import numpy as np

from slimml.ingest import arrays
from slimml.ingest.machine import Machine
from slimml.ingest.record import Symbol


def finish_wrapper(machine: Machine, state: Any) -> Any:
    """The array whose description is `state` and whose content starts where the machine stands.

    https://github.com/joblib/joblib/blob/1.5.2/joblib/numpy_pickle.py, NumpyArrayWrapper.read_array.
    """
    if type(state) is not dict or type(state.get("subclass")) is not Symbol:
        raise machine.corrupt("joblib describes an array in an unknown way")
    dtype, shape, order = arrays.as_dtype(machine, state.get("dtype")), state.get("shape"), state.get("order")
    if type(order) is not str or order not in ("C", "F"):
        raise machine.corrupt("joblib describes an array of unknown order")
    machine.context.wrapped_arrays += 1
    count, at = arrays.count_of(machine, shape), machine.pos
    if dtype.hasobject:
        value = _objects(machine, dtype, shape)
        machine.context.jumps[at] = machine.pos, True
        return value
    if state.get("numpy_array_alignment_bytes") is not None:
        machine.take(machine.data[machine.take(1)])
    start = machine.take(count * dtype.itemsize)
    machine.context.jumps[at] = machine.pos, False
    return arrays.make_array(machine, machine.view[start : machine.pos], dtype, shape, order == "F")


def _objects(machine: Machine, dtype: arrays.DType, shape: Any) -> Any:
    # joblib writes an array of objects as a pickle of its own, which holds the whole array.
    read = machine.context.decode_nested
    value = read(machine) if read is not None else None
    if not isinstance(value, np.ndarray) or value.dtype != dtype or value.shape != shape:
        raise machine.corrupt("a joblib array of objects is not the array that was announced")
    return value
