"""Runs a program that is killed when the process that started it ends, however that ends.

    python tether.py PARENT_PID PROGRAM [ARGUMENT ...]

Run by path, it imports nothing of ours and costs some ten milliseconds. The tie is Linux's PR_SET_PDEATHSIG, which
stays across exec and holds for the program, not for its own children. Elsewhere (macOS) there is no such tie: the
program runs untied, and the owner's end is noticed by the guard's pipe alone.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != int(parent):
        sys.exit(f"process {parent} was gone before {command[0]} started")
    os.execv(command[0], command)  # noqa: S606 -- the command comes from our own code


if __name__ == "__main__":
    main()
