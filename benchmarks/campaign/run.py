"""A robustness campaign: mutated recordings and files, kills, faults of the system.

    python benchmarks/campaign/run.py [--only audio,files,kills,faults] [--seed 0] [--work runs/campaign]

Nothing may be lost, silent or overwritten; what must hold is told in docs/reliability.md.
Everything is written to WORK/campaign.jsonl as it comes: stopped, even by kill -9, the same command
continues.  What failed is in WORK/failures, shrunk, with the command line that repeats it.  In the end
benchmarks/results/campaign.json and the table of docs/reliability.md are written, if all parts were run.
Two hours on two cores.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "benchmarks"), str(ROOT)]

from running import KINDS  # noqa: E402

COUNTS = {"audio": 10000, "files": 3000, "kills": 200, "faults": None}


def part(name, work, seed):
    """A part of the campaign, made where it is needed."""
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    if name == "audio":
        from sounds import Sounds

        return Sounds(folder, seed)
    if name == "files":
        from files import Files

        return Files(folder, seed)
    if name == "kills":
        from kills import Kills

        return Kills(folder, seed)
    from faults import Faults

    return Faults(folder, seed)


class Journal:
    """What was found, unit by unit, in a file that a stopped campaign continues."""

    def __init__(self, path, head):
        self.path, self.units = path, {}
        if path.exists():
            lines = path.read_text().splitlines(keepends=True)
            lines = [line for line in lines if line.endswith("}\n")]  # the last may be cut
            path.write_text("".join(lines))
            entries = [json.loads(line) for line in lines]
            if not entries or entries[0] != head:
                raise SystemExit(f"{path}: of another seed or scale; choose another --work, or delete it")
            self.units = {(entry["part"], entry["number"]): entry for entry in entries[1:]}
        else:
            path.write_text(json.dumps(head) + "\n")

    def add(self, entry):
        """Keep a unit."""
        self.units[entry["part"], entry["number"]] = entry
        with open(self.path, "a") as file:
            file.write(json.dumps(entry) + "\n")


def keep(findings, name, seed, failures):
    """Write the files of what failed; returns the findings as JSON can hold them."""
    kept = []
    for finding, number, data, ending in findings:
        again = f"python benchmarks/campaign/run.py --only {name} --seed {seed} --number {number}"
        entry = {"part": name, "number": number, "again": again} | asdict(finding)
        if data:
            failures.mkdir(parents=True, exist_ok=True)
            path = failures / f"{name}-{number}-{finding.kind.replace(' ', '-')}{ending}"
            path.write_bytes(data)
            entry["file"] = str(path)
        kept.append(entry)
        print(f"{finding.kind}: {finding.what}\n    {finding.facts}\n    {again}", flush=True)
    return kept


def do(one, journal, counts, arguments):
    """Do what is left of a part, in as many threads as there are cores."""
    total = counts or len(one)
    starts = [i for i in range(0, total, one.size) if (one.name, i) not in journal.units]
    done = total - sum(min(one.size, total - i) for i in starts)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        futures = {pool.submit(one.unit, i, min(one.size, total - i)): i for i in starts}
        for future in as_completed(futures):
            number = futures[future]
            tally, findings = future.result()
            found = keep(findings, one.name, arguments.seed, arguments.failures)
            size = min(one.size, total - number)
            done += size
            journal.add(
                {"part": one.name, "number": number, "size": size, "counts": tally, "findings": found}
            )
            print(f"{time.strftime('%H:%M:%S')} {one.name}: {done} of {total}", file=sys.stderr, flush=True)


def summary(journal):
    """Rows of the result, a part each; those that were done to the end have facts."""
    table = []
    for name in COUNTS:
        units = [unit for (of, _), unit in journal.units.items() if of == name]
        fates, kinds, row = Counter(), Counter(), {}
        for unit in units:
            row |= {"facts": unit["facts"]} if "facts" in unit else {}
            fates.update(unit["counts"])
            kinds.update(finding["kind"] for finding in unit["findings"])
        if units:
            row |= {"part": name, "count": sum(unit["size"] for unit in units), "fates": dict(fates)}
            table.append(row | {kind: kinds.get(kind, 0) for kind in KINDS})
    return table


def document(result, path):
    """Put the table into the document, between its marks."""
    from report import markdown

    before, _, rest = path.read_text().partition("<!-- campaign -->\n")
    _, _, after = rest.partition("<!-- end -->")
    machine = result["machine"]
    line = f"{machine['processor']}, {machine['cores']} cores, {machine['date'][:10]}, seed {result['seed']}:"
    text = f"{before}<!-- campaign -->\n{line}\n\n{markdown(result)}\n<!-- end -->{after}"
    path.write_text(text)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(COUNTS), help="parts, separated by commas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the mutants and kills")
    parser.add_argument("--number", type=int, help="only this mutant, kill or fault")
    parser.add_argument("--work", type=Path, default=Path("runs/campaign"))
    parser.add_argument("--failures", type=Path, help="[WORK/failures]")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    work = arguments.work = arguments.work.resolve()
    arguments.failures = (arguments.failures or work / "failures").resolve()
    work.mkdir(parents=True, exist_ok=True)
    parts = [name for name in COUNTS if name in arguments.only.split(",")]
    print(f"seed {arguments.seed}", flush=True)
    if arguments.number is not None:
        _, findings = part(parts[0], work, arguments.seed).unit(arguments.number, 1)
        raise SystemExit(bool(keep(findings, parts[0], arguments.seed, arguments.failures)))
    journal = Journal(work / "campaign.jsonl", {"seed": arguments.seed, "scale": arguments.scale})
    for name in parts:
        one = part(name, work, arguments.seed)
        do(one, journal, COUNTS[name] and max(1, round(COUNTS[name] * arguments.scale)), arguments)
        nothing = {"size": 0, "counts": {}, "findings": []}
        journal.add({"part": name, "number": -1, "facts": one.facts()} | nothing)
    finish(arguments, journal)


def finish(arguments, journal):
    """Print the table, and keep it if the campaign was whole."""
    from machine import describe
    from report import RESULTS, Table

    columns = {"part": "{part}", "tried": "{count}"} | {kind: "{" + kind + "}" for kind in KINDS}
    table = Table(columns, describe("acdref", "numpy", "soundfile"), seed=arguments.seed)
    found = summary(journal)
    for row in found:
        table.add(**row)
    if arguments.scale == 1 and [row["part"] for row in found if "facts" in row] == list(COUNTS):
        table.write(RESULTS / "campaign.json")
        document(json.loads((RESULTS / "campaign.json").read_text()), ROOT / "docs/reliability.md")
    raise SystemExit(any(row[kind] for row in found for kind in KINDS))


if __name__ == "__main__":
    main()
