"""Runs one program within limits, and leaves nothing of it behind: `python supervisor.py '{"memory": ...}' PROGRAM`.

The program gets a process group and a folder for temporary files of its own. When it ends, or whoever started the
supervisor is gone, or asks it to end, its whole group is killed and the folder removed: what a model forks or writes
does not outlive it. The supervisor ends as the program did, by the same signal if it was one.

Standard library alone, and the syntax of Python 3.8: any Python of the user's may run it. POSIX only.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile

SECONDS_BETWEEN_LOOKS = 0.2


def main() -> None:
    """Run the program of the command line, with standard streams as they are."""
    parent, limits = os.getppid(), json.loads(sys.argv[1])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)
    with tempfile.TemporaryDirectory(prefix="slimml-") as folder:
        environment = dict(os.environ, TMPDIR=folder)
        # In Python 3.8 there is no other way to set limits; the supervisor has one thread, so it is a safe one.
        child = subprocess.Popen([sys.executable, *sys.argv[2:]], env=environment, preexec_fn=lambda: _confine(limits))
        try:
            code = _ended(child, parent)
        finally:
            _kill(child.pid)
            child.wait()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), -code)
    sys.exit(code)


def _stop(*_: object) -> None:
    sys.exit(0)


def _ended(child: "subprocess.Popen[bytes]", parent: int) -> int:
    """How the program ended; SystemExit where nobody waits for it any more."""
    while True:
        try:
            return child.wait(SECONDS_BETWEEN_LOOKS)
        except subprocess.TimeoutExpired:
            if os.getppid() != parent:
                _stop()


def _kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS: nobody of the group is alive
        return


def _confine(limits: "dict[str, int]") -> None:
    """In the program's process, before it starts."""
    os.setpgid(0, 0)
    _die_with_parent()
    names = {
        "memory": "RLIMIT_AS",
        "cpu_seconds": "RLIMIT_CPU",
        "file_bytes": "RLIMIT_FSIZE",
        "core_bytes": "RLIMIT_CORE",
    }
    for name, limit in limits.items():
        kind = getattr(resource, names[name], None)
        if kind is not None:
            _, hard = resource.getrlimit(kind)
            soft = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
            try:
                resource.setrlimit(kind, (soft, hard))
            except (ValueError, OSError):  # macOS has no limit on addresses
                continue


def _die_with_parent() -> None:
    """On Linux even a supervisor that is killed outright takes the program along."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, sys/prctl.h


if __name__ == "__main__":
    main()
