"""The system user that the embedded PostgreSQL runs as, and what that user must be able to reach.

PostgreSQL refuses to run as root. When we are root, the server runs as the owner of its data, else as the system user
`perdure` (made on first use), else as `nobody`. Such a user cannot enter folders like `/root`, so each folder above the
data and above the binaries that it cannot enter gets an access-list entry that lets this one user, and nobody else,
pass through (never list or read). Where the file system has no access lists, the folder gets `o+x`, and a log line
names it. When we are an ordinary user, nothing of this happens: the server runs as ourselves.
"""

from __future__ import annotations

import os
import pwd
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from perdure.domain.errors import PerdureError
from perdure.telemetry import LogLine, get_logger

SYSTEM_USER = "perdure"
FALLBACK_USER = "nobody"
COMMAND_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}

_ACCESS_LIST = "system.posix_acl_access"
_ACL_VERSION = 2
_ACL_USER_OBJ, _ACL_USER, _ACL_GROUP_OBJ, _ACL_MASK, _ACL_OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
_NO_ID = 0xFFFFFFFF


class EmbeddedPostgresError(PerdureError):
    """The embedded PostgreSQL does not run."""

    code = "embedded_postgres_failed"


@dataclass(frozen=True, slots=True)
class ServerUser:
    """Whom the server and its tools run as. `switch`: we are root and have to become that user."""

    uid: int
    gid: int
    name: str
    switch: bool

    def run(
        self, command: list[str], *, cwd: Path, timeout: float, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `command` as this user with a clean environment (no PG* variable of ours reaches it).

        Returns whatever its exit code is; raises EmbeddedPostgresError when it cannot be run or takes over `timeout` s.
        """
        try:
            return subprocess.run(
                command,
                cwd=cwd,
                env=COMMAND_ENVIRONMENT,
                input=stdin if stdin is not None else "",
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=timeout,
                user=self.uid if self.switch else None,
                group=self.gid if self.switch else None,
                extra_groups=[] if self.switch else None,
            )
        except (OSError, subprocess.SubprocessError) as error:
            hint = ""
            if self.switch and isinstance(error, PermissionError | subprocess.SubprocessError):
                hint = (
                    f" PostgreSQL does not run as root, and root could not become {self.name!r} here."
                    " Run perdure as an ordinary user, or set PERDURE_DATABASE_URL."
                )
            raise EmbeddedPostgresError(f"Cannot run {Path(command[0]).name}: {error}.{hint}") from error

    def own(self, path: Path) -> None:
        """Give `path`, and everything below it, to this user (only as root; a copy made by root is such a case)."""
        if not self.switch:
            return
        self._own(path)
        for folder, folders, files in os.walk(path):
            for name in (*folders, *files):
                self._own(Path(folder, name))

    def _own(self, entry: Path) -> None:
        # What a killed server left behind may still be at its files: what is gone needs no owner.
        with suppress(FileNotFoundError):
            if entry.lstat().st_uid != self.uid:
                os.chown(entry, self.uid, self.gid, follow_symlinks=False)


def server_user(pgdata: Path) -> ServerUser:
    """Who runs the server on `pgdata`, which need not exist yet."""
    owner = pgdata.stat().st_uid if pgdata.exists() else None
    euid = os.geteuid()
    if euid != 0:
        if owner is not None and owner != euid:
            raise EmbeddedPostgresError(
                f"{pgdata} belongs to the user with id {owner}, and we are {euid}."
                " Run perdure as that user, or choose another PERDURE_DATA_DIR."
            )
        return ServerUser(uid=euid, gid=os.getegid(), name=_name_of(euid), switch=False)
    entry = pwd.getpwnam(_name_of(owner)) if owner else _system_user()
    return ServerUser(uid=entry.pw_uid, gid=entry.pw_gid, name=entry.pw_name, switch=True)


def let_reach(user: ServerUser, path: Path) -> None:
    """Make every folder above `path` passable for `user`. `path` must be absolute and without symbolic links."""
    if not user.switch:
        return
    for folder in reversed(path.parents):
        if not _can_pass(user, folder.stat()):
            _let_pass(user, folder)


def let_read(user: ServerUser, folders: Iterator[Path]) -> None:
    """Make installed files readable (they are a public wheel's; a umask of 077 may have hidden them)."""
    if not user.switch:
        return
    for folder in folders:
        for entry in (folder, *folder.rglob("*")):
            if entry.is_symlink():
                continue
            mode = stat.S_IMODE(entry.stat().st_mode)
            wanted = mode | 0o044 | (0o011 if mode & 0o100 else 0)
            if wanted != mode:
                entry.chmod(wanted)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise EmbeddedPostgresError(
            f"The user id {uid} has no name on this machine, and PostgreSQL wants one."
            " Add the user, run as another, or set PERDURE_DATABASE_URL."
        ) from None


def _system_user() -> pwd.struct_passwd:
    for make in (
        ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER],
        ["adduser", "-S", "-D", "-H", SYSTEM_USER],
        [],
    ):
        try:
            return pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            if make:
                _try(make)
    try:
        return pwd.getpwnam(FALLBACK_USER)
    except KeyError:
        raise EmbeddedPostgresError(
            "PostgreSQL does not run as root, and no system user could be made for it."
            " Run perdure as an ordinary user, or set PERDURE_DATABASE_URL."
        ) from None


def _try(command: list[str]) -> None:
    try:
        subprocess.run(command, env=COMMAND_ENVIRONMENT, capture_output=True, check=False, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        get_logger().debug(LogLine.EMBEDDED_USER, command=command[0], error=str(error))


def _can_pass(user: ServerUser, entry: os.stat_result) -> bool:
    if entry.st_uid == user.uid:
        return bool(entry.st_mode & 0o100)
    if entry.st_gid == user.gid:
        return bool(entry.st_mode & 0o010)
    return bool(entry.st_mode & 0o001)


def _let_pass(user: ServerUser, folder: Path) -> None:
    log = get_logger()
    try:
        if _grant(folder, user.uid):
            log.info(LogLine.EMBEDDED_PASSAGE, folder=str(folder), user=user.name)
    except OSError:
        folder.chmod(stat.S_IMODE(folder.stat().st_mode) | 0o001)
        log.warning(LogLine.EMBEDDED_PASSAGE, folder=str(folder), user="everyone")


def _grant(folder: Path, uid: int) -> bool:
    """Add `user:<uid>:--x` to the folder's access list (layout: linux/posix_acl_xattr.h). False if it was there."""
    if sys.platform != "linux":
        raise OSError("no POSIX access lists")
    mode = folder.stat().st_mode
    entries = {
        (_ACL_USER_OBJ, _NO_ID): mode >> 6 & 7,
        (_ACL_GROUP_OBJ, _NO_ID): mode >> 3 & 7,
        (_ACL_OTHER, _NO_ID): mode & 7,
    }
    if _ACCESS_LIST in os.listxattr(folder):
        raw = os.getxattr(folder, _ACCESS_LIST)
        entries = {(tag, who): bits for tag, bits, who in struct.iter_unpack("<HHI", raw[4:])}
    mask = entries.get((_ACL_MASK, _NO_ID), entries[_ACL_GROUP_OBJ, _NO_ID])
    if entries.get((_ACL_USER, uid), 0) & mask & 1:
        return False
    entries[_ACL_USER, uid] = entries.get((_ACL_USER, uid), 0) | 1
    entries[_ACL_MASK, _NO_ID] = mask | 1
    packed = b"".join(struct.pack("<HHI", tag, bits, who) for (tag, who), bits in sorted(entries.items()))
    os.setxattr(folder, _ACCESS_LIST, struct.pack("<I", _ACL_VERSION) + packed)
    return True
