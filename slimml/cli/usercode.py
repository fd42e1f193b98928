"""Importing what the user names on the command line: code of their own, run because they say so."""

from __future__ import annotations

import importlib
import os
import sys
from argparse import ArgumentParser
from types import ModuleType
from typing import Any

from slimml.errors import SlimmlError, UsageError, UserCodeError


def add_python(parser: ArgumentParser) -> None:
    """--python."""
    help = "import a function that the artifact names as one of its steps (shrink --keep)"
    parser.add_argument("--python", metavar="MODULE:NAME", action="append", help=help)


def python_of(names: list[str] | None) -> dict[str, Any]:
    """What --python names. Raises UsageError, UserCodeError."""
    from slimml.keeping import imported

    if names:
        look_in_current_folder()
    return {name: imported(name, "--python") for name in names or ()}


def look_in_current_folder() -> None:
    """Have modules found where the user stands, as `python -m` does."""
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)


def import_module_of_user(name: str, option: str) -> ModuleType:
    """A module by its import path, looked for in the current folder first, as `python -m` does.

    Raises UsageError where there is none, UserCodeError where importing it raises.
    """
    look_in_current_folder()
    try:
        return importlib.import_module(name)
    except SlimmlError:
        raise
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError) and name.startswith(error.name or "\0")
        if missing or not name:
            hint = "Name it as Python imports it: mypackage.lowerings, or my_lowerings for ./my_lowerings.py."
            raise UsageError(f"{option} {name}: there is no such module", hint=hint) from None
        hint = "It is code of yours; --debug prints where it was raised."
        raise UserCodeError(f"{option} {name} raised {type(error).__name__}: {error}", hint=hint) from error
