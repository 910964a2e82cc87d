"""Plant bugs in the package, one at a time, and count how many its tests notice.

    python tests/mutations.py [--sample 200] [--seed 1] [--jobs 2] [--json FILE] [--stale] [word ...]

A planted bug is a piece of source that occurs once in a module, and what a tired author might have written in
its place (planted.py, planted_rules.py, planted_values.py).  It is caught if the tests that mirror the module
fail, or hang: of acdref/a/b.py tests/a/test_b.py, or the files in MIRRORS, or the one test that it names.
What noticed a bug is run once more without any: a test that fails then too has not caught anything.

The sample takes bugs in turn from every module.  Words choose those whose module or test contains one.
Exits with 1 if one was not caught.
"""

import argparse
import collections
import contextlib
import datetime
import hashlib
import importlib
import json
import multiprocessing
import os
import platform
import re
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import planted
import planted_rules
import planted_values
import pytest

PROJECT = Path(__file__).resolve().parents[1]
SECONDS = 900  # of one run of tests, before it counts as hanging
PARTS = ("acdref", "benchmarks", "conformance", "docs", "fixtures", "tests", "tools", "weights")
FORK = multiprocessing.get_context("fork")
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*")

# Tests of the modules whose mirror has another name, or more than one file.
MIRRORS = {
    "audio/decode": [
        "audio/test_decode.py",
        "audio/test_decode_bad_input.py",
        "audio/test_containers.py",
    ],
    "audio/notes": ["audio/test_notes.py", "audio/test_containers.py", "audio/test_decode_bad_input.py"],
    "commands/_network": ["commands/test_predict_command.py", "commands/test_info_command.py"],
    "commands/_output": ["commands/test_output.py", "commands/test_predict_command.py"],
    "commands/_options": ["commands/test_click_options.py", "commands/test_recipe_command.py"],
    "commands/_progress": ["commands/test_progress.py"],
    "commands/_ranks": ["commands/test_ranks.py"],
    "commands/_stream": ["commands/test_stream.py"],
    "commands/_tags": ["commands/test_summary_command.py", "commands/test_cut_command.py"],
    "commands/_teacher": ["commands/test_teach_command.py"],
    "commands/_training": ["commands/test_train_command.py"],
    "commands/_work": ["commands/test_work.py", "commands/test_predict_events_command.py"],
    "commands/demo": ["test_demo.py"],
    "commands/recipe/_common": [
        "commands/test_recipe_command.py",
        "commands/test_recipe_about_time_command.py",
    ],
    "commands/predict": [
        "commands/test_predict_command.py",
        "commands/test_predict_environment.py",
        "commands/test_predict_events_command.py",
    ],
    "commands/_targets": ["commands/test_targets.py", "commands/test_predict_events_command.py"],
    "commands/relabel": ["commands/test_relabel_command.py", "commands/test_doubtful_labels_command.py"],
    "data/__init__": ["data/test_data.py"],
    "nets/acdnet": ["nets/test_acdnet.py", "nets/test_golden_state.py"],
    "options/__init__": ["options/test_options.py", "commands/test_click_options.py"],
    "options/labels": ["options/test_label_options.py"],
    "options/recipes": ["options/test_recipe_options.py"],
    "options/training": ["options/test_training_options.py"],
    "options/augmentation": ["options/test_training_options.py"],
    "recipes/features": ["recipes/test_recipe_features.py"],
    "recipes/strong": ["recipes/test_strong_recipe.py"],
    "relabel/steps": ["relabel/test_job.py"],
}


@dataclass(frozen=True)
class Bug:
    module: str
    source: str
    replacement: str
    tests: tuple[str, ...]

    @property
    def room(self):
        return self.module.split("/")[0]

    def __str__(self):
        return f"{self.module}: {self.source!r} -> {self.replacement!r}"


def mirrors(module):
    """The test files of a module, below tests/."""
    folder, _, name = module.rpartition("/")
    if module in MIRRORS:
        return MIRRORS[module]
    if folder.startswith("commands"):
        return [f"commands/test_{'recipe' if folder.endswith('recipe') else name}_command.py"]
    return [f"{folder}/test_{name}.py".lstrip("/")]


def bugs():
    for module, entries in planted.PLANTED.items():
        for source, replacement in entries:
            yield Bug(module, source, replacement, tuple(mirrors(module)))
    for (module, file), entries in planted_rules.PLANTED.items():
        for source, replacement, test in entries:
            yield Bug(module, source, replacement, (f"{file}::{test}",))
    for module, entries in planted_values.PLANTED.items():
        for source, replacement, test in entries:
            yield Bug(module, source, replacement, (f"test_printed_values.py::{test}",))


def stale(bug):
    """Why the bug cannot be planted, or None."""
    path = PROJECT / f"acdref/{bug.module}.py"
    if not path.exists():
        return "no such module"
    if (times := path.read_text(encoding="utf-8").count(bug.source)) != 1:
        return f"the source occurs {times} times"
    missing = [test for test in bug.tests if not (PROJECT / "tests" / test.split("::")[0]).exists()]
    return f"no tests/{missing[0]}" if missing else None


def sample(chosen, size, seed):
    """So many of the bugs, taken in turn from every module, in the order in which they are listed.

    By the hash of each, so that a bug that comes or goes leaves the others where they are.
    """
    rank = {bug: hashlib.sha256(f"{seed} {bug}".encode()).digest() for bug in chosen}
    modules = collections.defaultdict(list)
    for bug in sorted(chosen, key=rank.get):
        modules[bug.module].append(bug)
    turns = [(turn, rank[bug], bug) for of_one in modules.values() for turn, bug in enumerate(of_one)]
    taken = {bug for _, _, bug in sorted(turns, key=lambda ranks: ranks[:2])[:size]}
    return [bug for bug in chosen if bug in taken]


class Workshop:
    """A copy of the project in which bugs are planted, with compiled kernels of its own."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.copy = self.folder / "project"
        for part in PARTS:
            shutil.copytree(PROJECT / part, self.copy / part, ignore=LEFT_OUT)
        for file in PROJECT.glob("*.*"):
            if file.is_file() and not file.name.startswith("."):
                shutil.copy2(file, self.copy)
        shared = PROJECT.parent / "shared"
        if shared.exists():
            (self.folder / "shared").symlink_to(shared)

    def plant(self, bug):
        """Change the source, and start the tests."""
        self.bug = bug
        self.path = self.copy / f"acdref/{bug.module}.py"
        self.original, self.times = self.path.read_text(encoding="utf-8"), self.path.stat()
        self.kernels = set(self.folder.glob("cache/*"))
        self._write(self.original.replace(bug.source, bug.replacement))
        self.start([f"tests/{test}" for test in bug.tests], "-x")

    def harvest(self):
        """(verdict, test that noticed): "caught" or "hung", "SURVIVED", or "ERROR" if no test ran."""
        code, output = self.end()
        self._write(self.original)
        os.utime(self.path, ns=(self.times.st_atime_ns, self.times.st_mtime_ns))
        if self.bug.room in ("ops", "fast"):
            for folder in set(self.folder.glob("cache/*")) - self.kernels:
                shutil.rmtree(folder)
        if code is None:
            return "hung", ""
        found = re.search(r"^(?:FAILED|ERROR) (\S+?::.*?)(?: - .*)?$", output, re.MULTILINE)
        # pytest: 0 all passed, 1 some failed, anything else is not a verdict of the tests.
        verdict = {0: "SURVIVED", 1: "caught"}.get(code, "ERROR")
        return verdict, found.group(1) if found else "" if code == 0 else output[-300:]

    def _write(self, text):
        """Without the compiled form beside it: a file of the same size and second would not look changed."""
        self.path.write_text(text, encoding="utf-8")
        for compiled in self.path.parent.glob(f"__pycache__/{self.path.stem}.*"):
            compiled.unlink()

    def start(self, tests, *options):
        self.process = FORK.Process(target=run_tests, args=(self.folder, self.copy, [*options, *tests]))
        self.deadline = time.monotonic() + SECONDS
        self.process.start()

    def end(self):
        """pytest's exit status, or None if it had to be stopped, and what it printed."""
        late = self.process.is_alive()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # and whom it has started
        self.process.join()
        output = (self.folder / "output").read_text(encoding="utf-8", errors="replace")
        return None if late else self.process.exitcode, output


def run_tests(folder, copy, arguments):
    """In a process of its own, which has imported already what takes long."""
    os.setsid()
    with open(folder / "output", "wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.chdir(copy)
    sys.path[0] = str(copy)
    os.environ |= {"PYTHONPATH": str(copy), "ACDREF_CACHE_DIR": str(folder / "cache")}
    code = pytest.main(["-q", "--tb=no", "-rfE", "-p", "no:cacheprovider", *arguments])
    sys.stdout.flush()
    os._exit(code)


def preload():
    """What many tests import and none changes, once for all of them."""
    for name in (
        "hypothesis",
        "numba",
        "onnxruntime",
        "scipy.signal",
        "sklearn.metrics",
        "soundfile",
        "torch",
    ):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def try_all(chosen, jobs):
    """{bug: verdict}, each printed as it comes."""
    preload()
    verdicts, noticed = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        free = [Workshop(Path(folder) / str(number)) for number in range(jobs)]
        todo, busy = collections.deque(chosen), []
        while todo or busy:
            while todo and free:
                busy.append(free.pop())
                busy[-1].plant(todo.popleft())
            time.sleep(0.1)
            for workshop in list(busy):
                if workshop.process.exitcode is not None or time.monotonic() > workshop.deadline:
                    busy.remove(workshop)
                    free.append(workshop)
                    bug = workshop.bug
                    verdicts[bug], noticed[bug] = workshop.harvest()
                    print(f"{verdicts[bug]:9} {bug}\n          {noticed[bug]}", flush=True)
        caught = [bug for bug in chosen if verdicts[bug] == "caught"]
        failing = fail_anyway(free[0], sorted({noticed[bug] for bug in caught}))
    for bug in caught:
        if noticed[bug] in failing:
            verdicts[bug] = "ANYWAY"
            print(f"{verdicts[bug]:9} {bug}\n          {noticed[bug]}")
    return verdicts


def fail_anyway(workshop, tests):
    """Those of the tests that fail without a bug."""
    if not tests:
        return ()
    workshop.start(tests)
    workshop.process.join()
    _, output = workshop.end()
    return [test for test in tests if re.search(rf"^\w+ {re.escape(test)}( |$)", output, re.MULTILINE)]


def table(verdicts):
    """By room: how many were planted and caught, and which were not."""
    rooms = {}
    for bug, verdict in verdicts.items():
        room = rooms.setdefault(bug.room, {"planted": 0, "caught": 0, "survivors": []})
        room["planted"] += 1
        if verdict in ("caught", "hung"):
            room["caught"] += 1
        else:
            room["survivors"].append(f"{verdict} {bug}")
    return dict(sorted(rooms.items()))


def report(verdicts, arguments):
    rooms = table(verdicts)
    total, caught = len(verdicts), sum(room["caught"] for room in rooms.values())
    print(f"\n{'room':12} planted caught")
    for name, room in rooms.items():
        print(f"{name:12} {room['planted']:7} {room['caught']:6}")
        for survivor in room["survivors"]:
            print(f"    {survivor}")
    print(f"{caught} of {total} planted bugs caught ({caught / max(total, 1):.1%})")
    if arguments.json:
        facts = {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
            "seed": arguments.seed,
            "sample": arguments.sample,
            "planted": total,
            "caught": caught,
            "rooms": rooms,
        }
        Path(arguments.json).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return caught == total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="word")
    parser.add_argument("--sample", type=int, metavar="N", help="so many, in turn from every module (all)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", metavar="FILE", help="write the table there, too")
    parser.add_argument("--stale", action="store_true", help="only check that every bug can be planted")
    arguments = parser.parse_args()
    chosen = [
        bug
        for bug in bugs()
        if not arguments.words or any(word in f"{bug.module} {bug.tests}" for word in arguments.words)
    ]
    reasons = {bug: reason for bug in chosen if (reason := stale(bug))}
    for bug, reason in reasons.items():
        print(f"STALE     {bug}\n          {reason}")
    if arguments.stale:
        print(f"{len(reasons)} of {len(chosen)} planted bugs are stale")
        return 1 if reasons else 0
    chosen = [bug for bug in chosen if bug not in reasons]
    if arguments.sample:
        chosen = sample(chosen, arguments.sample, arguments.seed)
    every_one = report(try_all(chosen, arguments.jobs), arguments)
    return 0 if every_one and not reasons else 1


if __name__ == "__main__":
    sys.exit(main())
