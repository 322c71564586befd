"""One process at a time in a folder, on any file system, without `flock`.

Problem: two runs may start at once, also on two hosts that share a folder over NFS, where `flock` is
not to be relied on; and a run that was killed must not keep the next one out.

The lock is a folder, `.lock`, that holds one file named by a random token. What decides is atomic
everywhere: a folder prepared under another name is renamed to `.lock`, which fails while a `.lock` that
holds something is there. To give a lock up, or to break a stale one, the file of *that token* is
removed. So nobody removes another's lock by mistake, however late the removal comes, and of several that
break a stale lock one wins the rename.

Stale is a lock whose process is known dead (same boot of the same host, same space of process ids: there
is no such id, or its process began at another time), or one that shows no sign of life: its file is
touched every 30 seconds. Clocks: the age of a touch is taken between two times of the same file server,
so the hosts' clocks may differ. That clock may jump, though. Forward, a live lock looks old; backward,
it looks as if of the future. Therefore nothing is broken for its age alone, but only after a whole minute
(of a clock that cannot jump) in which it was not touched. A small jump backward can only delay that.
A process that is stopped for longer than the limit and then goes on has lost its lock; `Lock.check`
tells it so.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.errors import AuditError, LockedError
from pipeline.figures import seconds
from pipeline.readers.wording import described, printable

NAME = ".lock"
BEAT_SECONDS = 30.0
STALE_SECONDS = 600.0  # twenty missed beats: more than a file server's restart takes
WATCH_SECONDS = 60.0  # two beats


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    `space` names the boot and the space of process ids in which `pid` means something, `born` when in
    that boot the process began (clock ticks); both are empty where the system does not tell.
    """

    what: str
    host: str
    pid: int
    space: str
    born: str
    started: str

    @property
    def alive(self) -> bool | None:
        """Whether the process runs; None where that cannot be known from here."""
        if not self.space or (self.host, self.space) != (socket.gethostname(), _space()):
            return None
        return _born(self.pid) == self.born


class Lock:
    """A lock this process holds."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._owner = os.getpid()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat of a lock", daemon=True)

    def check(self) -> None:
        """Make sure that the lock is still held; to be called before what must not be done twice.

        Raises:
            LockedError: this process was stopped for so long that its lock was broken.
        """
        if not self._file.exists():
            raise LockedError(
                "this process has lost its lock",
                where=printable(str(self._file.parent), 1000),
                expected=f"a sign of life every {STALE_SECONDS:.0f} seconds",
                fix="start the same command again",
            )

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            # A file server that is away for a while is no reason to give up.
            with suppress(OSError):
                os.utime(self._file)

    def _start(self) -> None:
        self._thread.start()

    def _release(self) -> None:
        if os.getpid() != self._owner:  # a fork leaves the block, too
            return
        self._over.set()
        self._thread.join()
        with suppress(OSError):
            self._file.unlink()
            self._file.parent.rmdir()


@contextmanager
def locked(folder: Path, what: str) -> Iterator[Lock]:
    """Hold the lock of a folder, which is made if need be.

    Args:
        what: what is done meanwhile, for the message another process gets: "run monday".

    Raises:
        LockedError: a live process holds it. AuditError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = _acquired(folder, what)
    except OSError as error:
        raise AuditError(
            "cannot lock a folder",
            where=printable(str(folder), 1000),
            got=described(error),
            expected=f"a folder that can be written to, and in it no {NAME} of another kind",
            fix="free disk space or make the folder writable, then start the same command again",
        ) from error
    try:
        lock._start()
        yield lock
    finally:
        lock._release()


def holder_of(folder: Path) -> Holder | None:
    """Who holds the lock of a folder, or died holding it; None if nobody does or it cannot be read."""
    file = _held(folder / NAME)
    return None if file is None else _read(file)


def motionless(folder: Path) -> bool:
    """Whether the lock of a folder, if there is one, is not touched for a whole minute, which this takes."""
    file = _held(folder / NAME)
    try:
        return file is None or _motionless(file)
    except FileNotFoundError:
        return True


def _acquired(folder: Path, what: str) -> Lock:
    token = uuid.uuid4().hex
    prepared, lock = folder / f"{NAME}-{token}", folder / NAME
    prepared.mkdir()
    try:
        own = prepared / token
        own.write_text(json.dumps(asdict(_myself(what))), encoding="utf-8")
        while True:
            _rename(prepared, lock)
            # Asked, not concluded: over NFS a rename may be done and yet reported as failed.
            if (lock / token).exists():
                return Lock(lock / token)
            other = _held(lock)
            if other is not None:
                _break(other, own)
    finally:
        shutil.rmtree(prepared, ignore_errors=True)


def _rename(prepared: Path, lock: Path) -> None:
    try:
        os.rename(prepared, lock)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOENT):
            raise


def _held(lock: Path) -> Path | None:
    try:
        return next((lock / name for name in os.listdir(lock)), None)
    except FileNotFoundError:
        return None


def _break(other: Path, own: Path) -> None:
    """Remove a stale lock, or raise LockedError."""
    holder = _read(other)
    if holder is None or holder.alive is not False:
        try:
            os.utime(own)
            age = (_touched(own) - _touched(other)) / 1e9
            # What lies in the future by so much is of a clock that was put back.
            if abs(age) < STALE_SECONDS or not _motionless(other):
                raise _refusal(other, holder, age)
        except FileNotFoundError:  # given up, or broken by another
            return
    other.unlink(missing_ok=True)


def _touched(file: Path) -> int:
    """When a file was touched, in nanoseconds; opened, since NFS may answer `stat` from memory."""
    with file.open("rb") as opened:
        return os.fstat(opened.fileno()).st_mtime_ns


def _motionless(file: Path) -> bool:
    before, end = _touched(file), time.monotonic() + WATCH_SECONDS
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 1.0))
        if _touched(file) != before:
            return False
    return True


def _refusal(other: Path, holder: Holder | None, age: float) -> LockedError:
    sign = f"last sign of life {seconds(max(age, 0.0))} ago"
    if holder is None:
        got = f"a lock that says nothing of its holder, {sign}"
    else:
        got = f"{holder.what}: process {holder.pid} on {holder.host} since {holder.started}, {sign}"
    return LockedError(
        "another process is at work here",
        where=printable(str(other.parent), 1000),
        got=printable(got, 1000),
        fix="wait until it ends; the lock of a dead process is taken over by itself",
    )


def _read(file: Path) -> Holder | None:
    """What a lock says; None if it is gone or, after a power failure, empty."""
    try:
        found: Any = json.loads(file.read_text(encoding="utf-8"))
        values = {field.name: found[field.name] for field in fields(Holder)}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    strings = all(isinstance(value, str) for name, value in values.items() if name != "pid")
    return Holder(**values) if strings and isinstance(values["pid"], int) else None


def _myself(what: str) -> Holder:
    pid, now = os.getpid(), datetime.now(UTC).isoformat(timespec="seconds")
    return Holder(what, socket.gethostname(), pid, _space(), _born(pid) or "", now)


def _space() -> str:
    """The boot and the space of process ids of this process: containers count theirs anew."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _born(pid: int) -> str | None:
    """When a process began; None if there is none, or only its remains."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    state, *others = stat.rpartition(b")")[2].split()  # the name before it may hold anything
    return None if state in (b"Z", b"X") else others[18].decode("ascii")
