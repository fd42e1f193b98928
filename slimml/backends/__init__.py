"""Backends turn a graph into a candidate. `BACKENDS` lists them, in the order in which reports show them."""

from __future__ import annotations

from slimml.backends.base import Backend
from slimml.backends.hummingbird import HummingbirdBackend
from slimml.backends.onnx.backend import OnnxBackend
from slimml.backends.portable import PortableBackend
from slimml.backends.treelite import TreeliteBackend

BACKENDS: tuple[Backend, ...] = (PortableBackend(), OnnxBackend(), TreeliteBackend(), HummingbirdBackend())
