"""Guard: records what the program computes, and compares a later state of the sources with the record.

    python benchmarks/guard.py record [FILE] [--only GLOB ...]
    python benchmarks/guard.py check [FILE] [--only GLOB ...] [--quick] [--bits]

FILE is benchmarks/guard.json by default.  ``check`` prints every case that differs, with the largest
difference, and ends with code 1 if there is one.  ``record --only`` replaces the cases that match and leaves
the others: for a change that is meant, with the cases named where the change is described.

Each case has a kind, which says how near a result must be:

=========  =========  ======================================================================================
kind       tolerance  what
=========  =========  ======================================================================================
bits       none       labels, texts, counts, initial weights: the same on every processor
float64    1e-9       computed in float64
float32    2e-5       features, logits and probabilities
amplified  1e-3       float32 behind what amplifies rounding: ten steps of training, compressed quiet bins
run        1e-2       whole runs, whose optimiser turns rounding into steps where a gradient is 0
machine    --bits     scores and weights of tiny deep networks, where a bit of rounding may change much
=========  =========  ======================================================================================

The tolerance is both absolute and relative.  ``--bits`` demands equal bits of everything: for one machine,
where nothing but the place of the code has changed.  Of arrays a hash, the norm, a weighted sum and at most
40 values are kept; of texts their hash, and their numbers where these may differ a little.
"""

import argparse
import contextlib
import difflib
import fnmatch
import hashlib
import io
import json
import os
import re
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RECORD = Path(__file__).resolve().with_suffix(".json")
TOLERANCES = {"bits": 0.0, "float64": 1e-9, "float32": 2e-5, "amplified": 1e-3, "run": 1e-2}
_KEPT = 40  # values of an array
_LONGEST = 700  # characters of a text that is kept whole
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\w)")


# What is kept of a result ---------------------------------------------------------------------------------


def summary(kind, value):
    """What the record holds of one result, an array, a dict of arrays, or a text."""
    if isinstance(value, str):
        return _text_summary(kind, value)
    flat = flattened(value)[1]
    entry = {"kind": kind, "sha": _sha(flat.tobytes()), "size": flat.size}
    if kind == "bits" and flat.size > _KEPT:
        return entry
    x = flat.astype(np.float64)
    known = np.where(np.isfinite(x), x, 0)
    ramp = np.linspace(-1, 1, x.size)
    entry["norm"] = _rounded([np.linalg.norm(known), ramp @ known])
    entry["values"] = _rounded(x[_kept(x.size)])
    return entry


def flattened(value):
    """Where each array ends, and all arrays in one; sorted by name, whatever their order."""
    arrays = value if isinstance(value, dict) else {"": value}
    arrays = {name: np.ascontiguousarray(arrays[name]).ravel() for name in sorted(arrays)}
    ends = np.cumsum([a.size for a in arrays.values()], dtype=np.int64)
    whole = np.concatenate(list(arrays.values())) if arrays else np.zeros(0)
    return list(zip(arrays, ends.tolist(), strict=True)), whole


def _text_summary(kind, text):
    entry = {"kind": kind, "sha": _sha(text.encode())}
    if kind == "bits":
        return entry | ({"text": text} if len(text) <= _LONGEST else {})
    numbers = np.array([float(number) for number in _NUMBER.findall(text)])
    return entry | {
        "words": _sha(_NUMBER.sub("#", text).encode()),
        "size": numbers.size,
        "norm": _rounded([np.linalg.norm(numbers), np.linspace(-1, 1, numbers.size) @ numbers]),
        "values": _rounded(numbers[_kept(numbers.size)]),
    }


def _kept(size):
    return np.arange(size) if size <= _KEPT else np.linspace(0, size - 1, _KEPT).round().astype(int)


def _sha(data):
    return hashlib.sha256(data).hexdigest()[:32]


def _rounded(values):
    return [None if np.isnan(v) else float(f"{v:.11g}") for v in values]


# Comparison -----------------------------------------------------------------------------------------------


def difference(old, kind, value, bits=False):
    """What is wrong with a result beside its entry in the record, in words; None if nothing is."""
    new = summary(kind, value)
    if new["sha"] == old["sha"]:
        return None
    if old["kind"] != kind:
        return f"is of the kind {kind}, was {old['kind']}"
    if isinstance(value, str) and "text" in old:
        return "\n".join(["the text differs", *_diff(old["text"], value)])
    if kind == "machine" and not bits and isinstance(value, str):
        return None
    if old.get("size") != new.get("size"):
        return f"{new.get('size')} values, were {old.get('size')}"
    if kind == "machine" and not bits:
        return None
    if "values" not in old:
        return "the bits differ"
    if old.get("words") != new.get("words"):
        return "the words between the numbers differ"
    names = None if isinstance(value, str) else flattened(value)[0]
    found = _numbers_differ(old, new, TOLERANCES.get(kind, 0.0), names)
    if found is None and bits:
        return f"the bits differ, {_largest(old, new)}"
    return found


def _numbers_differ(old, new, tolerance, names):
    a, b = _array(old["values"]), _array(new["values"])
    with np.errstate(invalid="ignore"):
        wrong = np.isnan(a) != np.isnan(b)
        wrong |= np.abs(a - b) > tolerance * (1 + np.where(np.isfinite(a), np.abs(a), 0))
    if wrong.any():
        worst = int(np.nanargmax(np.where(wrong, np.nan_to_num(np.abs(a - b), nan=np.inf), -1)))
        index = int(_kept(old["size"])[worst])
        where = "" if names is None else next((f" in {n}" for n, end in names if n and index < end), "")
        return (
            f"{wrong.sum()} of {a.size} kept values differ, most number {index}{where}: "
            f"{b[worst]:.9g}, was {a[worst]:.9g} ({_largest(old, new)}, allowed {tolerance:g})"
        )
    for what, a, b in zip(("norm", "weighted sum"), old["norm"], new["norm"], strict=True):
        # Of so many values that each may be off by the tolerance.
        if abs(a - b) > tolerance * (np.sqrt(old["size"]) + old["norm"][0]):
            return f"the {what} is {b:.9g}, was {a:.9g} (kept values agree, allowed {tolerance:g})"
    return None


def _largest(old, new):
    off = np.abs(_array(old["values"]) - _array(new["values"]))
    return f"kept values by up to {np.nanmax(off, initial=0):.2g}"


def _array(values):
    return np.array([np.nan if v is None else v for v in values], np.float64)


def _diff(old, new):
    return list(difflib.unified_diff(old.splitlines(), new.splitlines(), "recorded", "now", "", "", 1, ""))


# The cases ------------------------------------------------------------------------------------------------


def run(command_line, folder):
    """What the program prints on stdout, run in a folder."""
    from acdref.cli import main

    arguments = [word.replace("@", " ") for word in command_line.split()]
    out, err = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["acdref", *arguments]
    environment = dict(os.environ)  # commands set the threads of BLAS in it
    try:
        with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as error:
        if error.code:
            raise RuntimeError(f"acdref {command_line}: code {error.code}: {err.getvalue()}") from None
    finally:
        sys.argv = before
        os.environ.clear()
        os.environ.update(environment)
    return out.getvalue().replace(str(ROOT), "ROOT")


def results(group):
    """(name, kind, result) of each case of a group."""
    with tempfile.TemporaryDirectory() as folder:
        for name, kind, value in group.function(Path(folder).resolve()):
            yield f"{group.name}/{name}", kind, value


def mismatches(record, group, bits=False):
    """What differs in a group: (name of the case, words); and the number of cases."""
    wrong, count = [], 0
    expected = {name for name in record if name.startswith(group.name + "/")}
    try:
        for name, kind, value in results(group):
            count += 1
            expected.discard(name)
            cause = difference(record[name], kind, value, bits) if name in record else "is not in the record"
            if cause is not None:
                wrong.append((name, cause))
    except Exception as error:  # the other groups shall still be checked
        at = traceback.extract_tb(error.__traceback__)[-1]
        cause = f"{type(error).__name__}: {error} ({Path(at.filename).name}, line {at.lineno})"
        return [*wrong, (f"{group.name}/", f"ended after {count} of its cases: {cause}")], count
    return wrong + [(name, "is no more") for name in sorted(expected)], count


def load(path=RECORD):
    """The cases of a record."""
    return json.loads(Path(path).read_text())["cases"]


# The command line -----------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, add_help=True
    )
    parser.add_argument("job", choices=["record", "check"])
    parser.add_argument("file", nargs="?", type=Path, default=RECORD, metavar="FILE")
    parser.add_argument("--only", nargs="+", metavar="GLOB", help="groups or cases, such as 'relabel*'")
    parser.add_argument("--quick", action="store_true", help="check: the groups that the tests check")
    parser.add_argument("--bits", action="store_true", help="check: equal bits of everything")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from guard_cases import GROUPS

    chosen = [group for group in GROUPS if group.quick or not options.quick]
    if options.only:
        chosen = [g for g in chosen if any(_touches(g.name, glob) for glob in options.only)]
    work = _record if options.job == "record" else _check
    sys.exit(work(options, chosen))


def _touches(group, glob):
    return fnmatch.fnmatch(group, glob.partition("/")[0])


def _matches(name, globs):
    return not globs or any(fnmatch.fnmatch(name, g if "/" in g else g + "/*") for g in globs)


def _record(options, groups):
    old = load(options.file) if options.only and options.file.exists() else {}
    cases = {name: entry for name, entry in old.items() if not _matches(name, options.only)}
    for group in groups:
        if group.missing():
            sys.exit(f"{group.name}: needs {group.missing()}")
        started = time.perf_counter()
        for name, kind, value in results(group):
            if _matches(name, options.only):
                if name in cases:
                    sys.exit(f"{name}: there are two of this name")
                cases[name] = summary(kind, value)
        print(f"{group.name}: {time.perf_counter() - started:.1f} s", flush=True)
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(cases[name])}" for name in sorted(cases))
    temporary = options.file.with_suffix(".tmp")
    temporary.write_text(f'{{"schema": "acdref.guard/1", "cases": {{\n{lines}\n}}}}\n')
    os.replace(temporary, options.file)
    changed = [name for name, entry in cases.items() if old.get(name, {}).get("sha") != entry["sha"]]
    if old:
        print("changed:", *sorted(changed), sep="\n  ")
    return 0


def _check(options, groups):
    record, wrong, count = load(options.file), [], 0
    for group in groups:
        if group.missing():
            print(f"{group.name}: left out, needs {group.missing()}")
            continue
        started = time.perf_counter()
        found, cases = mismatches(record, group, options.bits)
        found = [(n, cause) for n, cause in found if n == f"{group.name}/" or _matches(n, options.only)]
        print(f"{group.name}: {cases} cases, {time.perf_counter() - started:.1f} s", flush=True)
        for name, cause in found:
            print(f"  {name}: {cause}")
        wrong, count = wrong + found, count + cases
    print(f"{count} cases, {len(wrong)} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    main()
