"""A process whose power fails: what it had not synced is lost.

    python benchmarks/campaign/power.py LOG ARGUMENTS...

runs the command line of acdref and writes to LOG, a folder, which files and folders it syncs, and every
renaming, with the file that was replaced.  After the process was killed, `fail` does to its files what a
power cut does: data behind the last sync are gone, and renamings whose folder was not synced are undone.
"""

import json
import os
import sys
from pathlib import Path


def record(log):
    """Write down every sync and renaming of this process from now on."""
    log = Path(log)
    log.mkdir(parents=True, exist_ok=True)
    journal = os.open(log / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    sync, replace, count = os.fsync, os.replace, iter(range(1 << 30))

    def note(**entry):
        os.write(journal, json.dumps(entry).encode() + b"\n")

    def fsync(fd):
        number = fd if isinstance(fd, int) else fd.fileno()
        sync(number)
        status = os.fstat(number)
        note(sync=status.st_ino, size=status.st_size)

    def replacing(source, target, **options):
        kept = None
        if os.path.exists(target):
            kept = str(log / f"kept{os.getpid()}-{next(count)}")
            os.link(target, kept)
        note(
            to=os.path.abspath(target),
            folder=os.stat(os.path.dirname(os.path.abspath(target))).st_ino,
            kept=kept,
        )
        replace(source, target, **options)

    os.fsync = os.fdatasync = fsync
    os.replace = os.rename = replacing


def sizes_in(folder):
    """Size of every file below a folder, by inode."""
    return {file.stat().st_ino: file.stat().st_size for file in Path(folder).rglob("*") if file.is_file()}


def fail(log, folders, rng, before=()):
    """Do to the folders' files what a power cut does; returns how many files lost something.

    `before` are the :func:`sizes_in` the folder when the process began, which were safe then.
    Of renamings that were not synced all are lost, or none: both happen.
    """
    path = Path(log) / "log"
    lines = path.read_text().splitlines() if path.exists() else []
    entries = [json.loads(line) for line in lines if line.endswith("}")]
    sizes = dict(before) | {entry["sync"]: entry["size"] for entry in entries if "sync" in entry}
    lost = 0
    for folder in folders:
        for file in sorted(Path(folder).rglob("*")):
            size = sizes.get(file.stat().st_ino, 0) if file.is_file() else None
            if size is not None and size < file.stat().st_size:
                os.truncate(file, size)
                lost += 1
    undone = rng.random() < 0.5
    for i in reversed(range(len(entries))):
        entry = entries[i]
        synced = any(later.get("sync") == entry.get("folder") for later in entries[i + 1 :])
        if undone and "to" in entry and not synced and os.path.exists(entry["to"]):
            lost += 1
            os.unlink(entry["to"])
            if entry["kept"]:
                os.link(entry["kept"], entry["to"])
    return lost


if __name__ == "__main__":
    record(sys.argv[1])
    sys.argv[1:] = sys.argv[2:]
    from acdref.cli import main

    main()
