"""JupyterLab on the katas: how it is started, and the page that it starts at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from harness.desk import start_page
from harness.kata import Kata, all_katas

PAGE = Path(".runs", "start.md")
"""In the folder that JupyterLab shows, which holds the folder of katas."""


def command(katas: Path, kata: Kata | None, options: Sequence[str] = ()) -> list[str]:
    """Return the arguments of python that open JupyterLab at the start page, written anew, or at a kata's notebook."""
    root = katas.resolve().parent
    page = write_start_page(katas)
    target = (
        quote(str(kata.notebook.resolve().relative_to(root)))
        if kata
        else f"{quote(str(page.relative_to(root)))}?factory=Markdown%20Preview"
    )
    # The page lies in a dot folder; the file browser goes on hiding those.
    settings = [f"--ServerApp.root_dir={root}", "--ContentsManager.allow_hidden=True", f"--LabApp.default_url=/lab/tree/{target}"]
    return ["-m", "jupyter", "lab", *settings, *options]


def write_start_page(katas: Path) -> Path:
    """Write the start page for a folder of katas; return it."""
    page = katas.resolve().parent / PAGE
    page.parent.mkdir(exist_ok=True)
    ignore = page.parent / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    page.write_text(start_page(all_katas(katas), page.parent), encoding="utf-8")
    return page


def refresh_start_page(katas: Path) -> None:
    """Write the start page anew where JupyterLab was started from it."""
    if (katas.resolve().parent / PAGE).exists():
        write_start_page(katas)
