"""Importing what the user names on the command line: code of their own, run because they say so."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

from slimml.errors import SlimmlError, UsageError, UserCodeError


def import_module_of_user(name: str, option: str) -> ModuleType:
    """A module by its import path, looked for in the current folder first, as `python -m` does.

    Raises UsageError where there is none, UserCodeError where importing it raises.
    """
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
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
