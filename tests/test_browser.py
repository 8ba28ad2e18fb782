"""JupyterLab as a learner uses it, in a real browser: chromium (a Debian package), driven by Playwright."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from harness.course.fixes import read_fix
from harness.course.kata import load_kata
from harness.course.notebook import for_learners
from harness.ui.jupyterlab import command

playwright = pytest.importorskip("playwright.sync_api")

ROOT = Path(__file__).parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SHOTS = os.environ.get("KATA_SCREENSHOTS")
"""A folder that takes pictures of what the browser showed."""
KATA, FIX = "secondstep", "send-it-whole"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="needs chromium: apt-get install chromium"),
]


@pytest.fixture
def course(tmp_path):
    """A folder of one kata, so that nobody's notebook is touched."""
    folder = tmp_path / "course" / "katas"
    shutil.copytree(ROOT / "katas" / KATA, folder / KATA)
    kata = load_kata(folder / KATA)
    nbformat.write(for_learners(kata), kata.notebook)
    return folder


@pytest.fixture
def lab(course, tmp_path):
    """The address of a JupyterLab that `kata lab` would start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--IdentityProvider.token=",
        "--ServerApp.port_retries=0",
    ]
    config = {
        name: str(tmp_path / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    with (tmp_path / "lab.log").open("w") as log:
        arguments = [sys.executable, *command(course, None, options)]
        server = subprocess.Popen(
            arguments,
            env=os.environ | config | {"JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings")},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait_for(port, tmp_path / "lab.log")
            yield f"http://127.0.0.1:{port}/"
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(20)


def _wait_for(port, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError(log.read_text())


@pytest.fixture
def page():
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.set_default_timeout(60_000)
        yield page
        shot(page, "last")
        browser.close()


class Notebook:
    """A notebook that is open in JupyterLab."""

    def __init__(self, page):
        self.page = page
        self.cells = page.locator(".jp-Notebook .jp-Cell")

    def run_all(self):
        self.page.click('.lm-MenuBar-itemLabel:text-is("Run")')
        self.page.click('.lm-Menu-itemLabel:text-is("Run All Cells")')

    def edit(self, index, source):
        self.cells.nth(index).scroll_into_view_if_needed()
        self.cells.nth(index).locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(source)

    def add_at_the_end(self, source):
        """Add a cell after the last one and run it; return where its output appears."""
        self.page.keyboard.press("Escape")
        self.cells.last.scroll_into_view_if_needed()
        self.cells.last.locator(".jp-InputPrompt").click()
        before = self.cells.count()
        self.page.keyboard.press("b")
        playwright.expect(self.cells).to_have_count(before + 1)
        self.page.keyboard.press("Enter")
        self.page.keyboard.insert_text(source)
        self.page.keyboard.press("Control+Enter")
        return self.cells.nth(before).locator(".jp-Cell-outputArea")

    def save(self, path):
        before = path.stat().st_mtime_ns
        self.page.keyboard.press("Control+s")
        deadline = time.monotonic() + 20
        while path.stat().st_mtime_ns == before and time.monotonic() < deadline:
            time.sleep(0.1)
        assert path.stat().st_mtime_ns != before, "the notebook was not saved"


def shot(page, name):
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


def show(output):
    """Bring the top of an output to the top of the window."""
    output.evaluate("element => element.scrollIntoView({block: 'start'})")


def test_a_learner_opens_looks_repairs_and_sees_the_verdict_turn_green(lab, page, course):
    path = course / KATA / f"{KATA}.ipynb"
    kata = load_kata(course / KATA)
    order = [cell.id for cell in for_learners(kata).cells]

    page.goto(lab)
    page.wait_for_selector("text=Try next")
    shot(page, "start")
    page.click(f'.jp-MarkdownViewer a:text-is("{KATA}") >> nth=0')
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.wait_for_selector("text=/Python 3.*Idle/")
    notebook = Notebook(page)

    notebook.run_all()
    plot = notebook.cells.nth(order.index("look")).locator(".jp-OutputArea img")
    plot.wait_for(state="attached", timeout=120_000)

    verdict = notebook.add_at_the_end("%kata check")
    failing = verdict.locator(".conclusion.fail")
    failing.wait_for(timeout=120_000)
    assert "Not fixed" in failing.inner_text()
    assert verdict.locator("svg[role=img]").count() == 1
    show(verdict)
    shot(page, "failing")

    fix = read_fix(kata, FIX)
    for cell, source in reversed(fix.items()):
        notebook.edit(order.index(cell), source)
    page.keyboard.press("Control+Enter")
    stale = notebook.add_at_the_end("%kata check")
    stale.locator("text=Not what you ran").wait_for()

    stale.locator(".conclusion").wait_for(timeout=120_000)
    notebook.save(path)
    verdict = notebook.add_at_the_end("%kata check")
    passing = verdict.locator(".conclusion.pass")
    passing.wait_for(timeout=180_000)
    assert "Fixed" in passing.inner_text()
    assert verdict.locator("text=Not what you ran").count() == 0
    assert verdict.locator("summary:has-text('Post-mortem')").count() == 1
    show(verdict)
    shot(page, "passing")
    assert re.match(r"rgb\(0, 102, 79\)", passing.evaluate("e => getComputedStyle(e).color"))

    saved = nbformat.read(path, as_version=4)
    assert [cell.id for cell in saved.cells][: len(order)] == order, "JupyterLab keeps the cells' ids"
    assert json.loads((course.parent / ".runs" / "lab" / "overrides.json").read_text())
    assert "✔ fixed" in (course.parent / ".runs" / "start.md").read_text()
