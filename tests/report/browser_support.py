"""A real browser without a window, and pages opened in it from the disk."""

import contextlib
import os
import shutil
from pathlib import Path


def chromium():
    """The program, or None: one on the PATH, or the one that `playwright install chromium` has put away."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    own = os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache/ms-playwright"
    put_away = sorted(map(str, Path(own).glob("chromium-*/chrome-linux*/chrome")))
    return next(filter(None, map(shutil.which, names)), None) or next(iter(put_away), None)


@contextlib.contextmanager
def browsing():
    """A browser; ImportError without playwright."""
    from playwright.sync_api import sync_playwright

    options = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--enable-precise-memory-info"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=options)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def opened_report(browser, path, width=1280, height=900, **options):
    """A page that has read all; `problems` has what went wrong: messages of the console, errors, dialogs and
    whatever it asked the network for."""
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    page = context.new_page()
    page.problems = []
    page.on("console", lambda message: page.problems.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("dialog", lambda dialog: (page.problems.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: _local(request.url) or page.problems.append(request.url))
    try:
        page.goto(Path(path).resolve().as_uri())
        page.wait_for_selector("body[data-ready=yes]", timeout=60_000)
        yield page
    finally:
        context.close()


def _local(address):
    return address.startswith(("file:", "data:", "blob:"))
