"""A store that colleagues work on together: everything in it belongs to a Unix group, whose members may write.

`store.group=NAME` makes it one. Its folders carry the setgid bit, so that whatever is made in them belongs to the group
whoever makes it; that bit on the root is also how every later process knows (see `xstilts.files.follow_group`).
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from xstilts.errors import UserError
from xstilts.owner import user


def give(root: Path, group: str) -> int:
    """Give a folder, made if need be, and what I own below it to the group. Returns how many files changed hands.

    What colleagues own is theirs to give. Raises `UserError` for a group that I cannot give anything to.
    """
    root.mkdir(parents=True, exist_ok=True)
    changed = 0
    for folder, _, names in os.walk(root):
        for path in (Path(folder), *(Path(folder) / name for name in names)):
            changed += _give(path, group)
    return changed


def _give(path: Path, group: str) -> bool:
    """Whether anything had to be done."""
    found = path.lstat()
    if found.st_uid != os.geteuid() or stat.S_ISLNK(found.st_mode):
        return False
    if stat.S_ISDIR(found.st_mode):
        mode = found.st_mode | stat.S_ISGID | stat.S_IRWXG
    else:
        mode = found.st_mode | stat.S_IRGRP | stat.S_IWGRP
    if mode == found.st_mode and path.group() == group:
        return False
    try:
        shutil.chown(path, group=group)
        path.chmod(stat.S_IMODE(mode))
    except LookupError:
        raise UserError(f"store.group={group}: there is no such group here") from None
    except PermissionError:
        raise UserError(f"store.group={group}: {user()} is not in that group, and cannot give {path} to it") from None
    return True
