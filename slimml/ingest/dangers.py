"""Names that act, or lend somebody else's function to act, with a sentence each on what calling them would do.

Prefixes are used here only to refuse; what is allowed is a list of exact names (honest_names.tsv).
"""

from __future__ import annotations

import sys

# The standard library's modules that only compute. Every other one runs programs, opens files or talks to networks.
_MILD = frozenset(
    [
        *("__future__", "_codecs", "_collections", "_collections_abc", "_io", "_operator", "_random", "_thread"),
        *("_weakref", "abc", "array", "ast", "base64", "binascii", "bisect", "builtins", "calendar", "cmath"),
        *("codecs", "collections", "contextlib", "copy", "copyreg", "dataclasses", "datetime", "decimal"),
        *("difflib", "enum", "fractions", "functools", "hashlib", "heapq", "html", "inspect", "io", "ipaddress"),
        *(
            "itertools",
            "json",
            "keyword",
            "locale",
            "logging",
            "math",
            "numbers",
            "operator",
            "pathlib",
            "posixpath",
            "pprint",
        ),
        *("queue", "random", "re", "sre_compile", "statistics", "string", "struct", "textwrap", "threading"),
        *("time", "token", "types", "typing", "unicodedata", "uuid", "weakref", "zlib", "zoneinfo"),
    ]
)
# Python 2's names for modules.
RENAMED = {
    "__builtin__": "builtins",
    "exceptions": "builtins",
    "copy_reg": "copyreg",
    "cPickle": "pickle",
    "commands": "subprocess",
    "StringIO": "io",
    "cStringIO": "io",
    "UserDict": "collections",
    "UserList": "collections",
    "urllib2": "urllib",
    "httplib": "http",
    "Queue": "queue",
    "thread": "_thread",
    "ConfigParser": "configparser",
}
_MODULES = {
    "os": "runs system commands and changes files",
    "posix": "runs system commands and changes files",
    "nt": "runs system commands and changes files",
    "subprocess": "runs programs",
    "pty": "runs programs",
    "shutil": "copies, moves and deletes files",
    "socket": "opens network connections",
    "webbrowser": "starts a browser",
    "runpy": "runs Python code",
    "timeit": "runs Python code given as text",
    "profile": "runs Python code given as text",
    "cProfile": "runs Python code given as text",
    "pdb": "runs Python code given as text",
    "bdb": "runs Python code given as text",
    "trace": "runs Python code given as text",
    "doctest": "runs Python code given as text",
    "code": "runs Python code given as text",
    "codeop": "compiles Python code given as text",
    "ctypes": "loads and calls native code",
    "_ctypes": "loads and calls native code",
    "importlib": "imports any module",
    "imp": "imports any module",
    "pkgutil": "imports any module",
    "pydoc": "imports any module",
    "pickle": "runs another pickle, with nothing checked",
    "_pickle": "runs another pickle, with nothing checked",
    "marshal": "loads Python bytecode",
    "sys": "reaches every loaded module",
    "atexit": "leaves a call behind for when Python exits",
    "signal": "leaves a call behind or stops the process",
    "multiprocessing": "starts processes",
    "urllib": "opens network connections",
    "http": "opens network connections",
    "zipfile": "reads and writes files",
    "tarfile": "reads and writes files",
    "tempfile": "makes files",
    "sqlite3": "opens files",
    "pip": "installs software",
    "setuptools": "runs programs",
    "distutils": "runs programs",
    "numpy.f2py": "evaluates text as Python code or starts a compiler",
    "numpy.testing": "runs code and programs, as test helpers do",
    "numpy.distutils": "runs programs",
    "numpy.ctypeslib": "loads native code",
    "numpy.lib.npyio": "reads and writes files",
    "numpy.lib._npyio_impl": "reads and writes files",
    "numpy.lib._datasource": "downloads and opens files",
    "scipy.io": "reads and writes files",
    "scipy.weave": "compiles and runs native code",
    "sklearn.utils._testing": "runs scripts, as test helpers do",
    "sklearn.utils.testing": "runs scripts, as test helpers do",
    "sklearn.datasets": "downloads and opens files, or unpickles them",
    "joblib.externals": "imports any module and builds functions from bytecode",
    "sklearn.externals.joblib.externals": "imports any module and builds functions from bytecode",
    "pandas.io": "reads and writes files, pickles among them",
    "pandas.core.computation": "evaluates text as Python code",
    "torch": "loads native code, or a pickle with nothing checked",
    "IPython": "runs Python code",
}
_BUILTINS = {
    "eval": "evaluates text as Python code",
    "exec": "runs text as Python code",
    "compile": "compiles text to Python code",
    "execfile": "runs a file as Python code",
    "__import__": "imports any module",
    "open": "opens files",
    "file": "opens files",
    "input": "reads from the terminal; in Python 2 evaluates it",
    "breakpoint": "starts a debugger",
    "globals": "hands out every name of a module",
    "locals": "hands out every local name",
    "vars": "hands out every attribute of an object",
    "delattr": "deletes any attribute of any object",
    "exit": "ends the process",
    "quit": "ends the process",
    "help": "imports any module",
}
_NAMES = {
    **{("builtins", name): effect for name, effect in _BUILTINS.items()},
    ("operator", "attrgetter"): "reads any attribute of any object",
    ("operator", "methodcaller"): "calls any method of any object",
    ("_operator", "attrgetter"): "reads any attribute of any object",
    ("_operator", "methodcaller"): "calls any method of any object",
    ("weakref", "finalize"): "leaves a call behind for when Python exits",
    ("uuid", "_get_command_stdout"): "runs programs",
    ("codecs", "open"): "opens files",
    ("io", "open"): "opens files",
    ("_io", "open"): "opens files",
    ("io", "FileIO"): "opens files",
    ("_io", "FileIO"): "opens files",
    ("logging", "FileHandler"): "opens files",
    ("threading", "Thread"): "runs a function beside the program",
    ("threading", "Timer"): "runs a function later",
    ("_thread", "start_new_thread"): "runs a function beside the program",
    ("types", "FunctionType"): "makes a function from bytecode",
    ("types", "CodeType"): "makes bytecode",
    ("numpy", "memmap"): "opens, creates and changes files",
    ("numpy", "load"): "opens files, and runs a pickle in them",
    ("numpy", "save"): "writes files",
    ("numpy", "savez"): "writes files",
    ("numpy", "savez_compressed"): "writes files",
    ("numpy", "savetxt"): "writes files",
    ("numpy", "loadtxt"): "opens files",
    ("numpy", "genfromtxt"): "opens files",
    ("numpy", "fromfile"): "opens files",
    ("numpy", "fromregex"): "opens files",
    ("numpy", "DataSource"): "downloads and opens files",
    ("numpy.core.memmap", "memmap"): "opens, creates and changes files",
    ("numpy._core.memmap", "memmap"): "opens, creates and changes files",
    ("joblib", "load"): "runs another pickle, with nothing checked",
    ("joblib", "dump"): "writes files",
    ("joblib.numpy_pickle", "load"): "runs another pickle, with nothing checked",
    ("joblib.numpy_pickle", "dump"): "writes files",
    ("joblib.numpy_pickle", "_unpickle"): "runs another pickle, with nothing checked",
    ("joblib.numpy_pickle", "NumpyUnpickler"): "runs another pickle, with nothing checked",
    ("pandas", "eval"): "evaluates text as Python code",
    ("cloudpickle", "loads"): "runs another pickle, with nothing checked",
    ("cloudpickle", "load"): "runs another pickle, with nothing checked",
    ("dill", "loads"): "runs another pickle, with nothing checked",
    ("dill", "load"): "runs another pickle, with nothing checked",
    ("dill._dill", "loads"): "runs another pickle, with nothing checked",
    ("dill._dill", "load"): "runs another pickle, with nothing checked",
}
# These stand in honest files too. They lend a function to somebody else, or build one, so they are never called and
# never count as harmless; read as data they do nothing.
_LENDERS = {
    ("builtins", "getattr"): "reads any attribute of any object, so it can hand out any function",
    ("builtins", "setattr"): "changes any attribute of any object",
    ("builtins", "map"): "calls a function that it is given, later",
    ("builtins", "filter"): "calls a function that it is given, later",
    ("functools", "partial"): "keeps a function and arguments to call it with later",
    ("functools", "reduce"): "calls a function that it is given",
    ("numpy", "vectorize"): "calls a function that it is given, later",
    ("numpy", "frompyfunc"): "calls a function that it is given, later",
    ("numpy", "fromfunction"): "calls a function that it is given",
    ("numpy", "apply_along_axis"): "calls a function that it is given",
    ("numpy.core", "_ufunc_reconstruct"): "imports any module and hands out any attribute of it",
    ("numpy._core", "_ufunc_reconstruct"): "imports any module and hands out any attribute of it",
    ("joblib.numpy_pickle", "NDArrayWrapper"): "opens a file beside this one and runs a pickle in it",
    ("joblib.numpy_pickle", "ZNDArrayWrapper"): "opens a file beside this one",
}
_LENDING_MODULES = {
    "cloudpickle": "imports modules and builds functions and classes from bytecode in the file",
    "dill": "imports modules and builds functions and classes from bytecode in the file",
}


def danger(module: str, name: str) -> tuple[str, bool] | None:
    """What calling that name would do, and whether naming it is reason to refuse the file; None if not known bad."""
    home = RENAMED.get(module, module)
    if (home, name) in _NAMES:
        return _NAMES[home, name], True
    if (home, name) in _LENDERS:
        return _LENDERS[home, name], False
    if home == "pandas" and name.startswith("read_"):
        return "opens files, pickles among them", True
    parts = home.split(".")
    for length in range(len(parts), 0, -1):
        package = ".".join(parts[:length])
        if package in _MODULES:
            return _MODULES[package], True
        if package in _LENDING_MODULES:
            return _LENDING_MODULES[package], False
    if parts[0] in sys.stdlib_module_names and parts[0] not in _MILD:
        return "is a part of Python's library that no model needs", True
    if "." in name:
        return "reaches into a module behind a reader's back", True
    return None
