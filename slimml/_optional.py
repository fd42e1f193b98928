"""Import a package of an extra, or name the command that installs it."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from slimml.errors import MissingDependencyError

# What an extra cannot declare, so that pip must be told apart from it: hummingbird-ml 0.4.12 pins onnx to 1.16.1.
_AFTER_EXTRA = {"hummingbird": "pip install --no-deps hummingbird-ml==0.4.12"}


def require(module: str, extra: str) -> ModuleType:
    """Import `module`, which the extra `extra` brings. Raises MissingDependencyError with the command to run."""
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:  # OSError: a shared library that the package loads is not there
        what = f"{module} cannot be imported: {error}" if _installed(module) else f"{module} is not installed"
        raise MissingDependencyError(what, hint=f"run: {install_command(extra)}") from error


def missing(module: str, extra: str) -> str | None:
    """Why `module` cannot be used here and what to run, or None where it is installed. Imports nothing."""
    return None if _installed(module) else f"{module} is not installed; run: {install_command(extra)}"


def install_command(extra: str) -> str:
    """The shell command that brings an extra."""
    command = f'pip install "slimml[{extra}]"'
    return f"{command} && {_AFTER_EXTRA[extra]}" if extra in _AFTER_EXTRA else command


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module.partition(".")[0]) is not None
