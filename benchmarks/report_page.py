"""How the page of `acdref report` does with many recordings and with a long one, in a browser, from the disk.

    python benchmarks/report_page.py [--recordings 10000] [--hours 10] [--keep FOLDER] [--json FILE]

Synthetic scores.  Of the many recordings one in 50 has sound and a picture; the long one is noise.  Needs
playwright and a Chromium, as tests/report/test_browser.py does.  Seconds: to write the page (decoding and
pictures, no network); in the browser from opening to the first paint, to everything read, from a change of a
filter or a threshold to the picture after it, to a recording's picture, and to a closer look.  Megabytes of
files, and of what JavaScript holds.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from machine import describe
from report import RESULTS, Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "report"))
from browser_support import browsing, opened_report

from acdref.labels.events import cell_scores, detect_events
from acdref.predict.events import Timeline
from acdref.report import Recording, write_report

CLASSES = tuple(f"class {c}" for c in range(11))
AFTER = """(act) => new Promise((done) => {
    const start = performance.now();
    act();
    requestAnimationFrame(() => requestAnimationFrame(() => done((performance.now() - start) / 1000)));
})"""


def timeline(rng, path, seconds, window=2.0, hop=1.0):
    """A recording in which classes come and go."""
    starts = np.arange(0, max(hop, seconds - hop), hop)
    walk = np.cumsum(rng.normal(0, 0.8, (len(starts), len(CLASSES))), axis=0) - 3
    scores = 1 / (1 + np.exp(-np.clip(walk, -6, 2)))
    cells, borders = cell_scores(scores, np.stack([starts, np.minimum(starts + window, seconds)], axis=1))
    return Timeline(path, borders, cells, tuple(detect_events(cells, borders, 0.5)))


def many(folder, count):
    """Recordings of a sensor that records 10 s every minute."""
    rng, file = np.random.default_rng(0), str(folder / "sound.flac")
    soundfile.write(file, 0.05 * rng.standard_normal(160_000), 16000)
    for i in range(count):
        day, minute = divmod(i, 1440)
        name = f"site/202405{day + 1:02}_{minute // 60:02}{minute % 60:02}00.flac"
        yield Recording(timeline(rng, name, 10.0), file if i % 50 == 0 else name)


def one(folder, hours):
    """A recording of hours."""
    rng, file = np.random.default_rng(0), str(folder / "long.wav")
    with soundfile.SoundFile(file, "w", 16000, 1, "PCM_U8") as stream:
        for _ in range(round(hours * 60)):
            stream.write(rng.uniform(0.001, 0.1) * rng.standard_normal(960_000))
    yield Recording(timeline(rng, "long.wav", hours * 3600.0), file)


def written(folder, recordings):
    """The page, and the seconds that it took; 0 if it was there."""
    page, start = folder / "report" / "index.html", time.perf_counter()
    if page.exists():
        return page, 0.0
    folder.mkdir(parents=True, exist_ok=True)
    write_report(folder / "report", recordings, CLASSES, [0.5] * len(CLASSES))
    return page, time.perf_counter() - start


def measure(browser, folder, recordings):
    """Figures of one page."""
    page, seconds = written(folder, recordings)
    row = {"write": seconds}
    files = [path for path in (folder / "report").rglob("*") if path.is_file()]
    row["MB"] = sum(path.stat().st_size for path in files) / 1e6
    with opened_report(browser, page) as shown:
        paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"
        row["paint"] = shown.evaluate(paint)
        row["read"] = shown.evaluate("performance.getEntriesByName('all read')[0].startTime / 1000")
        filtered = f"({AFTER})(() => {{ $('filter').value = '_12'; $('filter').oninput(); }})"
        row["filter"] = shown.evaluate(filtered)
        slid = "const a = document.querySelector('#classes input[type=range]'); a.value = 0.3; a.oninput();"
        row["threshold"] = shown.evaluate(f"({AFTER})(() => {{ {slid} }})")
        start = time.perf_counter()
        shown.evaluate("list.select(list.items.findIndex(({ r }) => r.picture >= 0))")
        shown.wait_for_function("[...view.images.values()].some((image) => image)")
        row["picture"] = time.perf_counter() - start
        row["closer"] = shown.evaluate(f"({AFTER})(() => look(view.r.seconds / 2, view.r.seconds / 2 + 60))")
        row["memory"] = shown.evaluate("performance.memory.usedJSHeapSize / 1e6")
        if shown.problems:
            raise SystemExit(f"the page complains: {shown.problems}")
    return row


COLUMNS = {
    "page of": "{case}",
    "write": "{write:.1f}",
    "files MB": "{MB:.1f}",
    "first paint": "{paint:.2f}",
    "all read": "{read:.2f}",
    "filter": "{filter:.3f}",
    "threshold": "{threshold:.3f}",
    "picture": "{picture:.2f}",
    "closer": "{closer:.3f}",
    "JavaScript MB": "{memory:.0f}",
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recordings", type=int, default=10_000)
    parser.add_argument("--hours", type=float, default=10)
    parser.add_argument("--keep", type=Path, help="folder of pages, which are written unless they are there")
    parser.add_argument("--json", type=Path, default=RESULTS / "report_page.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, browsing() as browser:
        table = Table(COLUMNS, describe("acdref", "numpy", "playwright"), browser=browser.version)
        for case, make, amount in (
            (f"{arguments.recordings} recordings of 10 s", many, arguments.recordings),
            (f"one of {arguments.hours:g} h", one, arguments.hours),
        ):
            folder = (arguments.keep or Path(temporary)) / make.__name__
            table.add(case=case, **measure(browser, folder, make(folder, amount)))
    table.write(arguments.json)


if __name__ == "__main__":
    main()
