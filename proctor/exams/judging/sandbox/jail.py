"""A script of its own, for a Python without any package: run one program where it can reach nothing; exit as it did.

    python -I -S jail.py CPU_SECONDS WALL_SECONDS MEMORY_BYTES PROCESSES DISK_BYTES STATUS < PROGRAM

The program is read from standard input. It exits with STATUS where the program ran to its end, with 128 + N where
signal N ended it, and with anything else where it failed; what it wrote is nobody's. Where the isolation can't be had,
the reason stands on standard error, and nothing was run.

    this process      as nobody where it was root; unshares user, mount, pid, network, IPC, UTS and cgroup namespaces
      the first       process 1 of the new namespaces, in a session of its own: builds the root, waits, reaps
        the program   process 2: no capability, no descriptor but /dev/null, no environment, limits

When the first goes, the kernel kills all that is left in its namespaces. It goes with its parent, that with its own.
The root is an empty tmpfs with the folders of the system's libraries and of this Python, all of it read-only. There is
no /proc, no /home, no /etc; /tmp is a tmpfs of DISK_BYTES. See unshare(2), user_namespaces(7), open_tree(2) and
pivot_root(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys

NOBODY = 65534
REFUSED = 125  # what it exits with where nothing was run
_NEW_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REC, _MS_PRIVATE = 1, 2, 4, 0x4000, 0x40000
_MNT_DETACH = 2
_SYS_OPEN_TREE, _SYS_MOVE_MOUNT, _SYS_MOUNT_SETATTR = 428, 429, 442  # the same on all architectures
_AT_FDCWD, _AT_RECURSIVE, _OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH = -100, 0x8000, 1, 4
_SYS_KEYCTL = {"x86_64": 250, "aarch64": 219}
_KEYCTL_JOIN_SESSION_KEYRING = 1
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_SHOWN = ("/usr", "/bin", "/lib", "/lib32", "/lib64", sys.base_prefix, sys.base_exec_prefix)
_DEVICES = ("/dev/null", "/dev/urandom")
_NEW_ROOT = "/tmp"  # a tmpfs is mounted over it, in a namespace of our own
# Run with nothing but the program: its name isn't `__main__`, as in lm-evaluation-harness. A program that exits by
# itself, before its tests are over, hasn't passed: only its end gives the status.
_RUNNER = (
    "import os, sys\n"
    "source = sys.stdin.buffer.read().decode()\n"
    "exec(compile(source, '<program>', 'exec'), {'__name__': 'program'})\n"
    "os._exit(int(sys.argv[1]))\n"
)
_libc = ctypes.CDLL(None, use_errno=True)


def main(cpu_s: int, wall_s: int, memory_bytes: int, processes: int, disk_bytes: int, status: int) -> None:
    _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL)
    _write("/proc/self/oom_score_adj", "1000")  # where memory runs out, the kernel ends programs first
    program = os.memfd_create("program")
    with os.fdopen(os.dup(program), "wb") as file:
        file.write(sys.stdin.buffer.read())
    if os.geteuid() == 0:
        shown = _shown()  # while it may still look into root's folders
        _leave_root()
        _unshare()
    else:
        _unshare()  # in a namespace of its own it may copy mounts, too
        shown = _shown()
    first = os.fork()
    if first:
        sys.exit(_ending(os.waitpid(first, 0)[1]))
    _leave_keys()
    _begin_first(wall_s)
    _build_root(shown, disk_bytes)
    second = os.fork()
    if not second:
        _limit(cpu_s, memory_bytes, processes, disk_bytes)
        _become(program, status)
    while True:  # whoever loses its parent is this one's child
        ended, how = os.wait()
        if ended == second:
            os._exit(_ending(how))


def _call(name: str, *args: object) -> int:
    """Call a function of the C library. Raises OSError."""
    result = int(getattr(_libc, name)(*args))
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}{args[0] if name == 'syscall' else ''}: {os.strerror(number)}")
    return result


def _leave_root() -> None:
    """Root becomes nobody: its files are nobody's to read, and the kernel counts no processes of root's."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    _call("prctl", _PR_SET_DUMPABLE, 1)  # else its own /proc/self belongs to root
    _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user takes it away


def _shown() -> dict[str, int]:
    """Copies of the mounts that are to be seen, by their paths, not mounted anywhere yet."""
    found: dict[str, int] = {}
    for path in (*_SHOWN, *_DEVICES):
        if os.path.exists(path):
            found[path] = _call("syscall", _SYS_OPEN_TREE, _AT_FDCWD, path.encode(), _OPEN_TREE_CLONE | _AT_RECURSIVE)
    return found


def _unshare() -> None:
    user, group = os.geteuid(), os.getegid()
    _call("unshare", _NEW_NAMESPACES)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{NOBODY} {user} 1")
    _write("/proc/self/gid_map", f"{NOBODY} {group} 1")
    # No further user namespaces, in which the kernel lets anybody try what root may. Some containers refuse to set it.
    with contextlib.suppress(OSError):
        _write("/proc/sys/user/max_user_namespaces", "0")


def _write(path: str, text: str) -> None:
    file = os.open(path, os.O_WRONLY)
    os.write(file, text.encode())
    os.close(file)


def _leave_keys() -> None:
    """Have an empty keyring of the kernel's, in place of the session's; some containers have none at all."""
    if number := _SYS_KEYCTL.get(os.uname().machine):
        with contextlib.suppress(OSError):
            _call("syscall", number, _KEYCTL_JOIN_SESSION_KEYRING, None)


def _begin_first(wall_s: int) -> None:
    os.setsid()
    _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL)
    _call("prctl", _PR_SET_DUMPABLE, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # of signals without a handler the first of a namespace hears nothing
    signal.signal(signal.SIGALRM, lambda *_: os._exit(128 + signal.SIGALRM))
    signal.alarm(wall_s)


def _build_root(shown: dict[str, int], disk_bytes: int) -> None:
    _call("mount", None, b"/", None, _MS_REC | _MS_PRIVATE, None)
    _mount_tmpfs(_NEW_ROOT, "size=64k,nr_inodes=512,mode=755")
    for folder in ("/tmp", "/dev"):
        os.mkdir(_NEW_ROOT + folder)
    for path, source in shown.items():
        _show(path, source)
    attributes = (ctypes.c_uint64 * 4)(_MS_RDONLY | _MS_NOSUID, 0, 0, 0)  # struct mount_attr: set, clear, …
    _call(
        "syscall", _SYS_MOUNT_SETATTR, _AT_FDCWD, _NEW_ROOT.encode(), _AT_RECURSIVE,
        ctypes.byref(attributes), ctypes.c_size_t(ctypes.sizeof(attributes)),
    )  # fmt: skip
    _mount_tmpfs(_NEW_ROOT + "/tmp", f"size={disk_bytes},nr_inodes=1024,mode=1777")
    os.chdir(_NEW_ROOT)
    _call("pivot_root", b".", b".")
    _call("umount2", b".", _MNT_DETACH)
    os.chdir("/tmp")


def _mount_tmpfs(where: str, options: str) -> None:
    _call("mount", b"tmpfs", where.encode(), b"tmpfs", _MS_NOSUID | _MS_NODEV, options.encode())


def _show(path: str, source: int) -> None:
    """Mount the copy of a folder or a device at its path in the new root."""
    target = _NEW_ROOT + path
    if os.path.exists(target):  # it lies in one that is there
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if path in _DEVICES:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o444))
    else:
        os.mkdir(target)
    _call("syscall", _SYS_MOVE_MOUNT, source, b"", _AT_FDCWD, target.encode(), _MOVE_MOUNT_F_EMPTY_PATH)


def _limit(cpu_s: int, memory_bytes: int, processes: int, disk_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))  # first it is told, then it is killed
    for kind, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_NPROC, processes + 2),  # with the two that wait for it
        (resource.RLIMIT_FSIZE, disk_bytes),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 1),  # with 0, what the machine has for core files would still be called
    ):
        resource.setrlimit(kind, (most, most))


def _become(program: int, status: int) -> None:
    """Be the program: capabilities go with the call that begins it, as its user isn't root."""
    os.setsid()
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.lseek(program, 0, os.SEEK_SET)
    os.dup2(program, 0)
    python = os.path.realpath(sys.executable)
    nowhere = os.open("/dev/null", os.O_WRONLY)
    os.set_inheritable(0, True)
    os.closerange(nowhere + 1, 1 << 16)
    os.closerange(3, nowhere)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    os.execve(python, [python, "-I", "-S", "-c", _RUNNER, str(status)], {})


def _ending(how: int) -> int:
    code = os.waitstatus_to_exitcode(how)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    try:
        main(*map(int, sys.argv[1:]))
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        os.write(2, f"{error}".encode())
        os._exit(REFUSED)
