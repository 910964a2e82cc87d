"""What a page says of recordings."""

import os
from pathlib import Path

import numpy as np
import pytest
from predict_support import noise
from predict_support import write as write_sound
from report_support import CLASSES, HOSTILE, HOSTILE_FILE, failed, item, parts, rows, timeline, write

from acdref.errors import AcdrefError
from acdref.report import Recording
from acdref.report.job import address, floors, time_in_name

SCORES = [[0.57, 0.1, 0.0], [0.56999, 0.2, 1.0], [0.9, 0.3, 0.25]]


def test_scores_times_and_errors(tmp_path):
    found = [
        timeline("a.wav", SCORES, seconds=3.5, note="ends early"),
        failed("b.wav", "an empty file"),
        timeline("c.wav", SCORES[:1], window=10.0, seconds=4.0, error="damaged"),
    ]
    page = tmp_path / "page.html"
    assert write(page, found, thresholds=[0.5, 0.12345, 1.0], rules={"gap": 2.0}) == str(page)
    meta = parts(page)["meta"]
    assert meta["classes"] == list(CLASSES) and meta["thresholds"] == [5000, 1235, 10000]
    assert meta["rules"] == {"hold": 1.0, "median": 0.0, "gap": 2.0, "least": 0.0} and not meta["errors"]
    a, b, c = rows(page)
    assert a["cells"].tolist() == np.floor(found[0].cells * 10000 + 1e-6).T.astype(int).tolist()
    assert a["cells"][0, 0] == 5700
    assert (a["path"], a["seconds"], a["hop"], a["count"], a["note"]) == ("a.wav", 3.5, 1.0, 4, "ends early")
    assert (b["count"], b["error"], b["picture"], b["sound"]) == (0, "an empty file", -1, None)
    assert (c["seconds"], c["hop"], c["count"], c["error"]) == (4.0, 4.0, 1, "damaged")


def test_many_recordings_make_several_lists_in_their_order(tmp_path):
    names = [f"{i}.wav" for i in range(1201)]
    write(tmp_path / "page", (timeline(name, SCORES[:1]) for name in names))
    assert parts(tmp_path / "page" / "index.html")["meta"]["lists"] == 3
    assert [row["path"] for row in rows(tmp_path / "page" / "index.html")] == names


def test_names_are_escaped_for_eyes_alone(tmp_path):
    names = [HOSTILE_FILE, "bad\udcff.wav", "tab\t\x1b[2J.wav"]
    write(tmp_path / "p.html", (timeline(name, SCORES) for name in names), classes=(HOSTILE, "b", "c"))
    shown = [row["path"] for row in rows(tmp_path / "p.html")]
    assert shown == [HOSTILE_FILE.replace("\n", "\\n"), "bad\\udcff.wav", "tab\\t\\x1b[2J.wav"]
    expected = HOSTILE.replace("\n", "\\n").replace("\u2028", "\\u2028")
    assert parts(tmp_path / "p.html")["meta"]["classes"][0] == expected


@pytest.mark.parametrize("out", ["page.html", "page"])
def test_sound_is_put_in_while_there_is_room(tmp_path, out):
    files = [
        write_sound(tmp_path / "in" / f"{HOSTILE_FILE[:-4]}{i}.wav", noise(0.1, seed=i)) for i in range(3)
    ]
    size = os.path.getsize(files[0])
    said = []
    found = [Recording(timeline(file, SCORES), file) for file in files]
    page = Path(write(tmp_path / out, found, sound=2 * size, said=said.append))
    first, second, third = rows(page)
    assert item(page, first["sound"]) == Path(files[0]).read_bytes()
    assert item(page, second["sound"]) == Path(files[1]).read_bytes()
    assert third["sound"].startswith("in/" if out == "page.html" else "../in/")
    assert "%3C" in third["sound"] and "%2523%23%3F" in third["sound"]
    assert said == ["1 of 3 recordings are not in the page, but played where they are"]
    assert item(page, first["picture"])[:4] == b"\x89PNG"


@pytest.mark.skipif(os.name != "posix", reason="names of POSIX")
def test_addresses_of_names_that_are_no_text_and_behind_links(tmp_path):
    assert address(str(tmp_path / "bad\udcff.wav"), str(tmp_path)) == "bad%FF.wav"
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away")
    assert address(str(tmp_path / "x.wav"), str(tmp_path / "link")) == "../../x.wav"


def test_labels_are_compared_with_scores_rounded_up(tmp_path):
    """ "Above" in the page is above here: 0.50001 is above 0.5, and 0.5 is not."""
    found = Recording(timeline("a.wav", SCORES), "a.wav", [1, 0, None], [0.50001, 0.5, 0.123456])
    write(tmp_path / "p.html", [found], errors=True)
    (row,) = rows(tmp_path / "p.html")
    assert (row["labels"], row["scores"]) == ([1, 0, None], [5001, 5000, 1235])
    assert parts(tmp_path / "p.html")["meta"]["errors"]


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        ([], "no recordings were given"),
        ([failed("a", "x"), failed("b", "y")], "none of 2 recordings can be used"),
    ],
)
def test_nothing_to_show(tmp_path, found, cause):
    with pytest.raises(AcdrefError, match=cause):
        write(tmp_path / "p.html", found)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x/20240514_063000.WAV", 1715668200.0),
        ("S4A_20240514T063000Z.wav", 1715668200.0),
        ("2024-05-14 06:30:00.flac", 1715668200.0),
        ("2024-05-14_06-30-00.flac", 1715668200.0),
        ("20240514063000.flac", 1715668200.0),
        ("1202405140630001.flac", None),
        ("20241314_063000.wav", None),
        ("20240514_256000.wav", None),
        ("20240514_063000/x.wav", None),
        ("19991399_000000_20240514_063000.wav", 1715668200.0),
    ],
)
def test_times_in_names(name, expected):
    assert time_in_name(name) == expected


def test_floors_keep_what_is_reached():
    """A score reaches a threshold of four decimals in the page if and only if it does here."""
    thresholds = np.arange(10001) / 10000
    assert (floors(thresholds) == np.arange(10001)).all()
    assert (floors(np.nextafter(thresholds[1:], 0) - 1e-9) == np.arange(10000)).all()
