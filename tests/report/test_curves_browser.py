"""The curves in a real browser, opened from the disk, without a network."""

import importlib.util

import pytest
from browser_support import browsing, chromium, opened_report
from history_support import write_run
from report_support import HOSTILE

from acdref.report.curves import write_curves
from acdref.tables.history import read_history

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="needs playwright"),
    pytest.mark.skipif(chromium() is None, reason="needs a Chromium"),
]

THREE = [(0.2, 0.4), (0.6, 0.8), (0.5, 0.5)]


@pytest.fixture(scope="module")
def browser():
    with browsing() as found:
        yield found


@pytest.fixture
def opened(browser, tmp_path):
    """Writes a page of runs and opens it; in the end it may not have complained."""
    contexts = []

    def open_page(*runs, **options):
        path = tmp_path / "page.html"
        write_curves(path, [read_history(run) for run in runs])
        context = opened_report(browser, path, **options)
        contexts.append((context, page := context.__enter__()))
        return page

    yield open_page
    for context, page in contexts:
        problems = page.problems
        context.__exit__(None, None, None)
        assert problems == []


def cells(page, table):
    page.wait_for_timeout(100)
    rows = page.locator(f"#{table} tbody tr").all()
    return [row.locator("td").all_inner_texts() for row in rows]


def legends(page):
    """Title -> what its legend says."""
    page.wait_for_timeout(100)
    figures = page.locator("#charts figure").all()
    texts = [figure.locator("figcaption").inner_text().split("\n") for figure in figures]
    return {title: "\n".join(rest) for title, *rest in texts}


PAINTED = """(selector) => {
  const canvas = document.querySelector(selector), { width, height } = canvas;
  const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  let count = 0;
  for (let i = 0; i < pixels.length; i += 4) {
    const [r, g, b, alpha] = pixels.slice(i, i + 4);
    count += alpha > 200 && Math.max(r, g, b) - Math.min(r, g, b) > 60;
  }
  return count;
}"""


def painted(page, canvas):
    """How many pixels of a canvas are no greys."""
    return page.evaluate(PAINTED, canvas)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_run(tmp_path, opened, scheme):
    page = opened(write_run(tmp_path / "run", THREE), color_scheme=scheme)
    assert page.title() == "Training of run"
    assert (
        "3 of 4 epochs done; weights of epoch 2 are kept: the highest validation mAP, 0.7"
        in page.locator("#summary").inner_text()
    )
    assert legends(page) == {
        "Loss": "0.5", "Learning rate": "0.0015", "Validation mAP": "0.7", "Validation accuracy": "0.9"
    }  # fmt: skip
    assert cells(page, "classes") == [["dog", "0.6", "0.5", "0.6", ""], ["cat", "0.8", "0.5", "0.8", ""]]
    assert cells(page, "epochs")[1][0] == "2 (kept)" and ["lr", "0.003"] in cells(page, "options")
    assert painted(page, "#ap-chart") > 100 and painted(page, "#charts canvas") > 100


def test_keys_and_the_pointer_go_through_epochs(tmp_path, opened):
    page = opened(write_run(tmp_path / "run", THREE))
    for key, loss, said in [
        ("ArrowRight", "0.3333", "At epoch 3"),
        ("ArrowRight", "0.3333", "At epoch 3"),
        ("Home", "1", "At epoch 1"),
        ("ArrowLeft", "1", "At epoch 1"),
        ("End", "0.3333", "At epoch 3"),
        ("b", "0.5", "At epoch 2, which is kept"),
    ]:
        page.keyboard.press(key)
        assert (legends(page)["Loss"], page.locator("#readout").inner_text()) == (loss, said)
    canvas = page.locator("#charts canvas").first
    canvas.hover(position={"x": 48, "y": 50})
    assert legends(page)["Loss"] == "1"
    page.mouse.move(0, 0)
    assert legends(page)["Loss"] == "0.5"
    canvas.click(position={"x": canvas.bounding_box()["width"] - 9, "y": 50})
    page.mouse.move(0, 0)
    assert legends(page)["Loss"] == "0.3333"
    page.locator("#best").press("Enter")
    assert legends(page)["Loss"] == "0.5"


def test_classes_are_drawn_or_not(tmp_path, opened):
    page = opened(write_run(tmp_path / "run", THREE))
    page.locator("#class-0").uncheck()
    page.locator("#class-1").press("Space")
    page.wait_for_timeout(100)
    assert painted(page, "#ap-chart") == 0 and page.locator("#ap-legend").inner_text() == ""


@pytest.mark.parametrize("how", ["by itself", "seen again"])
def test_a_run_that_goes_on_is_followed_and_nothing_is_lost(tmp_path, opened, how):
    run = write_run(tmp_path / "run", THREE)
    page = opened(run, height=300)
    page.locator("#class-0").uncheck()
    page.locator("#class-1").focus()
    page.keyboard.press("b")
    page.evaluate("scrollTo(0, 200)")
    write_curves(tmp_path / "page.html", [read_history(write_run(run, [*THREE, (0.9, 0.9)]))])
    if how == "seen again":
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_function("data.runs[0].rows.length === 4", timeout=20_000)
    assert legends(page)["Validation mAP"] == "0.9" and len(cells(page, "epochs")) == 4
    assert not page.locator("#class-0").is_checked() and page.evaluate("scrollY") == 200
    assert page.evaluate("document.activeElement.id") == "class-1"
    assert page.locator("iframe").count() == 0
    assert "goes on" not in page.locator("#summary").inner_text()


def test_a_page_that_is_gone_does_no_harm(tmp_path, opened):
    page = opened(write_run(tmp_path / "run", THREE))
    (tmp_path / "page.html").rename(tmp_path / "away.html")
    page.evaluate("look()")
    page.wait_for_timeout(500)
    assert legends(page)["Loss"] == "0.5"
    page.problems[:] = [text for text in page.problems if "ERR_FILE_NOT_FOUND" not in text]


def test_runs_one_over_the_other(tmp_path, opened):
    first = write_run(tmp_path / "a", THREE)
    second = write_run(tmp_path / "b", [(0.3, 0.3)] * 4, ("dog", "bird"), lr=0.1)
    page = opened(first, second)
    assert page.locator("#summary").inner_text() == "2 runs, 1 of them unfinished"
    assert legends(page)["Validation mAP"].split() == ["a", "0.7", "b", "0.3"]
    assert [row[1:] for row in cells(page, "classes")] == [["0.6", "0.3"], ["0.8", "–"], ["–", "0.3"]]
    assert cells(page, "options")[0] == ["lr", "0.003", "0.1"]
    page.keyboard.press("End")
    assert legends(page)["Validation mAP"].split() == ["a", "–", "b", "0.3"]
    page.locator("#run-1").uncheck()
    page.keyboard.press("b")
    assert legends(page)["Validation mAP"].split() == ["a", "0.7"]
    page.locator("#class-1").check()
    page.wait_for_timeout(100)
    assert page.locator("#ap figcaption").inner_text().split() == ["cat", "a", "0.8"]
    page.locator("#which").select_option("1")
    assert len(cells(page, "epochs")) == 4


def test_without_validation(tmp_path, opened):
    page = opened(write_run(tmp_path / "run", THREE, classes=()))
    assert "epoch 3 are kept: the last" in page.locator("#summary").inner_text()
    assert list(legends(page)) == ["Loss", "Learning rate"] and not page.locator("#ap").is_visible()


def test_validation_loss_stands_with_the_loss(tmp_path, opened):
    run = write_run(tmp_path / "run", THREE, keep="loss")
    text = (run / "metrics.csv").read_text().splitlines()
    more = ["val_loss", "0.9", "0.8", "0.7"]
    (run / "metrics.csv").write_text("\n".join(f"{a},{b}" for a, b in zip(text, more, strict=True)))
    page = opened(run)
    said = page.locator("#summary").inner_text()
    assert "epoch 3 are kept: the lowest validation loss, 0.7" in said
    assert legends(page)["Loss"].split() == ["training", "0.3333", "validation", "loss", "0.7"]
    assert "Validation loss" not in legends(page)


def test_names_are_text_and_never_markup(tmp_path, opened):
    name = HOSTILE.replace("\n", " ")
    page = opened(
        write_run(tmp_path / "run", THREE, (name, "b"), manifest=HOSTILE), write_run(tmp_path / "<i>")
    )
    assert page.locator("img, i").count() == 0 and page.locator("script").count() == 2
    assert name.replace("\u2028", "\\u2028") in page.locator("#classes label").first.inner_text()


def test_many_epochs_and_classes(tmp_path, opened):
    """AudioSet's classes over a thousand epochs."""
    row = [0.5] * 527
    page = opened(write_run(tmp_path / "run", [row] * 1000, [f"c{i}" for i in range(527)], epochs=1000))
    assert len(cells(page, "epochs")[0]) == 5 and page.locator("#classes tbody tr").count() == 527
    assert page.locator("#ap-legend").inner_text().count("c") == 12
