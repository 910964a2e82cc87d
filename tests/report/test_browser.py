"""The page in a real browser, opened from the disk, without a network."""

import importlib.util

import numpy as np
import pytest
from browser_support import browsing, chromium, opened_report
from predict_support import noise
from predict_support import write as write_sound
from report_support import CLASSES, HOSTILE, HOSTILE_FILE, failed, timeline, walk, write

from acdref.labels.events import detect_events
from acdref.report import Recording
from acdref.report.job import floors

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="needs playwright"),
    pytest.mark.skipif(chromium() is None, reason="needs a Chromium"),
]

FORMS = ("page.html", "page")
HEARD = [[0.9, 0.1, 0.1], [0.9, 0.1, 0.1], [0.1, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.1]]
QUIET = [[0.1, 0.2, 0.3]] * 6


@pytest.fixture(scope="module")
def browser():
    with browsing() as found:
        yield found


@pytest.fixture
def opened(browser):
    """Opens pages; in the end none may have complained."""
    contexts = []

    def open_page(path, **options):
        context = opened_report(browser, path, **options)
        contexts.append(context)
        return context.__enter__()

    yield open_page
    for context in contexts:
        problems = context.gen.gi_frame.f_locals["page"].problems
        context.__exit__(None, None, None)
        assert problems == []


@pytest.fixture
def sounds(tmp_path):
    """Two recordings of 7 s: a hum at the beginning and a dog from 4 s on, or nothing."""
    found = []
    for name, scores in (("loud.wav", HEARD), ("quiet.wav", QUIET)):
        file = write_sound(tmp_path / "in" / name, noise(7, seed=len(found)))
        found.append(Recording(timeline(file, scores, seconds=7.0), file))
    return found


def names(page):
    """Of the recordings that the list shows."""
    page.wait_for_timeout(100)
    return page.locator("#list .row .name").all_inner_texts()


def table(page):
    """Class -> the three numbers beside its threshold."""
    page.wait_for_timeout(100)
    lines = page.locator("#classes tbody tr").all()
    return {
        line.locator("td").first.inner_text().strip(): line.locator("td.number").all_inner_texts()
        for line in lines
    }


RULES = [
    {},
    {"hold": 0.6},
    {"median": 3.0},
    {"gap": 2.0, "least": 3.0},
    {"hold": 0.45, "median": 7.0, "gap": 1.0, "least": 2.5},
]


@pytest.mark.parametrize("rules", RULES)
def test_events_are_those_of_python(tmp_path, opened, rules):
    rng = np.random.default_rng(0)
    every = []
    for number, (windows, hop) in enumerate([(1, 1.0), (2, 1.0), (40, 1.0), (400, 0.1), (300, 0.7)]):
        scores = floors(walk(rng, windows)) / 10000
        every.append(timeline(f"{number}.wav", scores, 2 * hop, hop, seconds=hop * (windows + 0.3)))
    thresholds = [0.5, 0.3, 0.91]
    page = opened(write(tmp_path / "p.html", every, thresholds=thresholds, rules=rules))
    found = page.evaluate("recordings.map((r) => r.events)")
    for recording, by_class in zip(every, found, strict=True):
        cells = floors(recording.cells) / 10000
        expected = detect_events(cells, recording.borders, thresholds, **rules)
        for c in range(len(CLASSES)):
            ours = [(e.onset, e.offset, e.peak, e.mean) for e in expected if e.label == c]
            theirs = [(e["onset"], e["offset"], e["peak"] / 1e4, e["mean"] / 1e4) for e in by_class[c]]
            assert len(ours) == len(theirs)
            np.testing.assert_allclose(theirs, ours, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_names_are_text_and_never_markup(tmp_path, opened, form):
    file = write_sound(tmp_path / HOSTILE_FILE, noise(7))
    found = [Recording(timeline(file, HEARD, seconds=7.0, note=HOSTILE), file), failed(f"{file}2", HOSTILE)]
    page = opened(
        write(tmp_path / form, found, classes=(HOSTILE, "b", HOSTILE * 3), title=HOSTILE, made=HOSTILE)
    )
    page.locator("#list .row").first.click()
    page.locator("#events .row").first.click()
    page.wait_for_timeout(200)
    assert page.locator("img, #list b").count() == 0 and page.locator("script").count() == (
        2 if form == "page" else 4
    )
    escaped = HOSTILE_FILE.replace("\n", "\\n")
    assert names(page) == [escaped, f"{escaped}2"]
    shown = HOSTILE.replace("\n", "\\n").replace("\u2028", "\\u2028")
    assert page.title() == shown and page.locator("#trouble").inner_text() == shown
    assert page.locator("#classes label").first.inner_text().strip() == shown


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("room", [10**6, 0])
def test_the_player_jumps_to_events(tmp_path, opened, sounds, form, room):
    """With sound that is in the page, and beside it."""
    page = opened(write(tmp_path / form, sounds, sound=room))
    page.locator("#list .row").first.click()
    assert page.locator("#events .row").count() == 2
    page.locator("#events .row", has_text="dog").click()
    page.wait_for_function("!$('audio').paused && $('audio').currentTime > 4")
    assert page.evaluate("$('audio').currentTime") < 5.5
    assert page.evaluate("Math.abs($('audio').duration - 7) < 0.01")
    assert page.evaluate("$('audio').src.slice(0, 4)") == ("blob" if room else "file")
    page.wait_for_function("[...view.images.values()].every((image) => image?.complete)")


def test_a_recording_that_has_gone_is_said(tmp_path, opened, sounds):
    page = opened(write(tmp_path / "p.html", sounds, sound=0))
    (tmp_path / "in" / "loud.wav").unlink()
    page.locator("#list .row").first.click()
    page.evaluate("$('audio').load()")
    page.wait_for_function("$('trouble').textContent.includes('not where it was')")
    page.problems[:] = [problem for problem in page.problems if "ERR_FILE_NOT_FOUND" not in problem]


def test_data_that_have_gone_are_said(tmp_path, opened, sounds):
    page = opened(write(tmp_path / "page", sounds))
    (tmp_path / "page" / "data" / "1-items0.js").unlink()
    page.locator("#list .row").first.click()
    page.wait_for_function("$('trouble').textContent.includes('data/1-items0.js is missing')")
    page.problems[:] = [problem for problem in page.problems if "ERR_FILE_NOT_FOUND" not in problem]


def test_thresholds_and_rules_act_at_once(tmp_path, opened, sounds):
    page = opened(write(tmp_path / "p.html", sounds))
    assert table(page) == {"hum": ["3.0", "1", "1"], "dog": ["1.0", "1", "1"], "rain": ["0.0", "0", "0"]}
    page.get_by_label("threshold of dog, as a number").fill("0.2")
    assert table(page)["dog"] == ["10.0", "2", "2"]
    page.get_by_label("threshold of rain", exact=True).focus()
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    assert page.get_by_label("threshold of rain, as a number").input_value() == "0.3"
    assert table(page)["rain"] == ["7.0", "1", "1"]
    page.get_by_label("at least").fill("2.5")
    assert table(page)["hum"] == ["3.0", "1", "1"] and table(page)["dog"][1] == "2"
    page.get_by_label("at least").fill("7.5")
    assert all(numbers == ["0.0", "0", "0"] for numbers in table(page).values())


def test_filters_and_orders(tmp_path, opened, sounds):
    page = opened(write(tmp_path / "p.html", [*sounds, failed("x/broken.wav", "text, not audio")]))
    paths = [r.timeline.path for r in sounds]
    assert names(page) == [*paths, "x/broken.wav"]
    choices = {"with dog": paths[:1], "nothing found": paths[1:], "not readable": ["x/broken.wav"]}
    for choice, expected in (choices | {"with rain": []}).items():
        page.locator("#only").select_option(choice)
        assert names(page) == expected
    page.locator("#only").select_option("all recordings")
    page.locator("#filter").fill("QUIET")
    assert names(page) == paths[1:]
    page.locator("#filter").fill("")
    page.locator("#sort").select_option("by name")
    assert names(page) == sorted([*paths, "x/broken.wav"])
    assert "3 recordings, 14 s, 1 with errors" in page.locator("#summary").inner_text()


def test_by_keyboard_alone(tmp_path, opened, sounds):
    page = opened(write(tmp_path / "p.html", sounds))
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "filter"
    page.keyboard.type("loud")
    for expected in ("only", "sort", "list"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == expected
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("ArrowDown")
    assert page.locator("#name").inner_text().endswith("loud.wav")
    assert page.locator("#" + page.locator("#list").get_attribute("aria-activedescendant")).is_visible()
    page.keyboard.press("n")
    page.wait_for_function("!$('audio').paused")
    page.keyboard.press("n")
    page.wait_for_function("$('audio').currentTime >= 4")
    page.keyboard.press(" ")
    assert page.evaluate("$('audio').paused")
    page.keyboard.press("+")
    assert page.evaluate("view.to - view.from") == pytest.approx(3.5)
    page.keyboard.press("0")
    page.locator("#curves").focus()
    before = page.evaluate("now()")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("now()") == pytest.approx(before + 0.35, abs=0.01)
    page.keyboard.press("?")
    assert page.locator("#help dd").first.is_visible()
    operable = "[...document.querySelectorAll('input, select, button, [tabindex], audio')]"
    named = "e.labels?.length || e.ariaLabel || e.getAttribute('aria-labelledby') || e.textContent.trim()"
    assert page.evaluate(f"{operable}.filter((e) => !({named})).map((e) => e.id)") == []


def test_ten_thousand_recordings(tmp_path, opened):
    """Only rows that are seen exist, and no picture is loaded before it is looked at."""
    rng = np.random.default_rng(0)
    scores = walk(rng, 6)
    found = [timeline(f"{i:05}.wav", np.roll(scores, i, axis=1), seconds=7.0) for i in range(10_000)]
    file = write_sound(tmp_path / "x.wav", noise(1))
    page = opened(write(tmp_path / "page", [*found, Recording(timeline("last.wav", HEARD), file)]))
    assert page.locator("#count").inner_text() == "10001 recordings shown"
    assert 0 < page.locator("#list .row").count() < 40
    page.locator("#filter").fill("last")
    assert names(page) == ["last.wav"]
    page.locator("#filter").fill("")
    page.locator("#list").focus()
    assert page.evaluate("report.parts.size") == 0
    page.keyboard.press("End")
    page.wait_for_function("[...view.images.values()].some((image) => image)")
    page.locator("#list .row", has_text="last.wav").wait_for()  # rows come with the event of scrolling
    assert page.locator("#name").inner_text() == "last.wav" and names(page)[-1] == "last.wav"
    assert page.evaluate("[...report.parts.keys()]") == ["items0"]


def test_ten_hours_load_what_is_looked_at(tmp_path, opened, monkeypatch):
    scores = walk(np.random.default_rng(0), 35_999)
    png = b"\x89PNG\r\n\x1a\n"  # of no use, but there
    tiles = int(36_000 * 7.8125 / 512) + 1
    monkeypatch.setattr("acdref.report.job.pictures", lambda *_: (7.8125, 36_000 / 2048, [png] * (1 + tiles)))
    file = write_sound(tmp_path / "x.wav", noise(1))
    page = opened(write(tmp_path / "page", [Recording(timeline("x.wav", scores), file)], sound=0))
    assert page.evaluate("recordings[0].count") == 36_000
    assert page.evaluate("[...view.images.keys()]") == [0]
    page.evaluate("look(18000, 18120)")
    page.wait_for_timeout(200)
    assert page.evaluate("[...view.images.keys()]") == [0, 1 + 274, 1 + 275, 1 + 276]
    assert 0 < page.locator("#events .row").count() < 30


def test_when(tmp_path, opened, sounds):
    """A day by the times in names, and a click that opens what lies there."""
    found = [timeline(f"20240514_{h:02}0000.wav", [HEARD, QUIET][h % 2], seconds=7.0) for h in range(24)]
    page = opened(write(tmp_path / "p.html", found))
    assert page.locator("#clock").input_value() == "date"
    total = page.evaluate("(({ low, high }) => high - low)(span())")
    assert total == 23 * 3600 + 7
    page.locator("#clock").select_option("order")
    page.wait_for_timeout(100)
    box = page.locator("#timeline").bounding_box()
    page.mouse.click(box["x"] + 96 + (box["width"] - 96) * 2.5 / 24, box["y"] + 5)
    assert page.locator("#name").inner_text() == "20240514_020000.wav"
    assert page.evaluate("now()") == pytest.approx(3.5, abs=0.2)


def test_errors_come_surest_first(tmp_path, opened):
    found = [
        Recording(timeline("a.wav", QUIET), "a.wav", [1, 0, None], [0.2, 0.7, 0.9]),
        Recording(timeline("b.wav", QUIET), "b.wav", [0, 1, 1], [0.95, 0.5, 0.6]),
        failed("c.wav", "an empty file"),
    ]
    page = opened(write(tmp_path / "p.html", found, errors=True))
    assert page.locator("#list .row .bad").all_inner_texts() == ["false tag", "miss", "false tag", "miss"]
    assert page.locator("#list .row .chip").all_inner_texts() == [
        "hum 0.95",
        "hum 0.20",
        "dog 0.70",
        "dog 0.50",
    ]
    assert table(page) == {"hum": ["1", "1", "1"], "dog": ["1", "1", "1"], "rain": ["0", "0", "1"]}
    assert page.locator("#about").inner_text() == "7.0 s; labelled: dog, rain; found: hum 0.95, rain 0.60"
    page.get_by_label("threshold of dog, as a number").fill("0.45")
    assert table(page)["dog"] == ["1", "0", "1"]
    page.locator("#sort").select_option("misses only")
    page.wait_for_timeout(100)
    assert page.locator("#list .row .chip").all_inner_texts() == ["hum 0.20"]
    page.locator("#only").select_option("not readable")
    assert names(page) == ["c.wav"]


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_dark_and_light(tmp_path, opened, sounds, scheme):
    page = opened(write(tmp_path / "p.html", sounds), color_scheme=scheme)

    def brightness(what):
        found = page.evaluate(f"getComputedStyle(document.body).{what}.match(/[0-9]+/g).map(Number)")
        return sum(found) / 3

    back, front = brightness("backgroundColor"), brightness("color")
    assert (back < 60 and front > 200) if scheme == "dark" else (back > 240 and front < 60)


def test_narrow_pages_do_not_scroll_sideways(tmp_path, opened, sounds):
    page = opened(write(tmp_path / "p.html", sounds), width=400)
    page.locator("#list .row").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
