"""What an installation takes on the disk: the base, each extra, each package, and what can be left out.

    python benchmarks/sizes.py [--json FILE]

Installs into temporary folders, from a package index, and adds up the sizes of the files (MB = 10^6 bytes; a
disk takes some more, in blocks).  Bytecode, which pip makes, counts as part of its package.  What can be left
out is taken away from the base, which must tag a recording then as before.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np
import soundfile
from machine import describe
from report import RESULTS, Table

ROOT = Path(__file__).parents[1]
EXTRAS = ("fast", "parquet", "mic", "teacher", "onnx", "cluster", "mpi", "remote", "s3")
# Patterns of what no command of the base needs.
SPARE = {
    "bytecode (pip install --no-compile)": ["**/__pycache__"],
    "NumPy's tests, headers, f2py and type stubs": [
        *("numpy/**/tests", "numpy/**/*.pyi", "numpy/f2py"),
        *("numpy/_core/include", "numpy/_core/lib", "numpy/random/lib"),
    ],
}


def install(folder, extra=None):
    """The project, with its dependencies and one extra, below `folder`."""
    source = str(ROOT) + (f"[{extra}]" if extra else "")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), source]
    subprocess.run(command, check=True)


def packages(folder):
    """Name -> bytes of each package below `folder`."""
    sizes = {}
    for package in metadata.distributions(path=[str(folder)]):
        files = {package.locate_file(file) for file in package.files}
        sizes[package.name.lower()] = sum(Path(f).stat().st_size for f in files if Path(f).exists())
    return sizes


def tags(folder):
    """What the installation below `folder` says of a recording."""
    rng = np.random.default_rng(0)
    recording = folder.parent / "noise.wav"
    soundfile.write(recording, 0.1 * rng.standard_normal(32000), 16000)
    command = [sys.executable, "-S", "-m", "acdref", "predict", "--format", "csv", str(recording)]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, check=True, env=environment, capture_output=True, cwd=folder.parent).stdout


def strip(folder, patterns):
    """Bytes freed by taking away what matches."""
    freed = 0
    for path in [found for pattern in patterns for found in folder.glob(pattern)]:
        if path.is_dir():
            freed += sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            shutil.rmtree(path)
        elif path.exists():
            freed += path.stat().st_size
            path.unlink()
    return freed


def measure(table, folder):
    """Rows: the base by package, what each extra adds to it, and what can go."""
    install(folder / "base")
    base = packages(folder / "base")
    table.add(part="base", mb=sum(base.values()) / 1e6)
    for name, size in sorted(base.items(), key=lambda item: -item[1]):
        table.add(part=f"of the base: {name}", mb=size / 1e6)
    for extra in EXTRAS:
        install(folder / extra, extra)
        added = {name: size for name, size in packages(folder / extra).items() if name not in base}
        largest = ", ".join(sorted(added, key=added.get, reverse=True)[:3])
        table.add(part=f"extra {extra} adds", mb=sum(added.values()) / 1e6, largest=largest)
        shutil.rmtree(folder / extra)
    before = tags(folder / "base")
    left = sum(base.values())
    for what, patterns in SPARE.items():
        freed = strip(folder / "base", patterns)
        left -= freed
        table.add(part=f"can go: {what}", mb=freed / 1e6)
    if tags(folder / "base") != before:
        sys.exit("without what can go it says something else")
    table.add(part="base without these", mb=left / 1e6)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, default=RESULTS / "sizes.json")
    arguments = parser.parse_args()
    columns = {"": "{part}", "MB": "{mb:.1f}", "largest": "{largest}"}
    table = Table(columns, describe("numpy", "numba", "pyarrow", "onnxruntime", "onnx"))
    with tempfile.TemporaryDirectory() as folder:
        measure(table, Path(folder))
    table.write(arguments.json)


if __name__ == "__main__":
    main()
