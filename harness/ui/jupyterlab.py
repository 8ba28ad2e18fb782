"""Start JupyterLab on the katas, at a start page with the learner's progress."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from fixtures.recording.journal import REPOSITORY
from harness.course.kata import Kata, all_katas
from harness.ui.progress import start_page

OVERRIDES = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}
WORKSPACE = "start"
PAGE = Path(".runs", "start.md")
"""Relative to the folder that JupyterLab shows, which holds the folder of katas."""
OPEN_PAGE = "*Each attempt updates this page. File → Reload … from Disk shows the newest version, as does* `%kata progress`."


def command(katas: Path, kata: Kata | None, options: Sequence[str] = ()) -> list[str]:
    """Return the Python arguments that open JupyterLab at the updated start page, or at a kata's notebook."""
    root = katas.resolve().parent
    page = write_start_page(katas)
    place = page.parent / "lab"
    place.mkdir(exist_ok=True)
    target = f"tree/{quote(kata.notebook.resolve().relative_to(root).as_posix())}" if kata else f"workspaces/{WORKSPACE}"
    _write_settings(place)
    _write_workspace(place, page.relative_to(root).as_posix(), katas.name)
    settings = [
        f"--ServerApp.root_dir={root}",
        # The page lies in a dot folder; the file browser still hides those.
        "--ContentsManager.allow_hidden=True",
        f"--LabApp.default_url=/lab/{target}",
        f"--LabApp.app_settings_dir={place}",
        f"--LabApp.workspaces_dir={place / 'workspaces'}",
    ]
    return ["-m", "jupyter", "lab", *settings, *options]


def environment(katas: Path) -> dict[str, str]:
    """Return JupyterLab's environment: notebooks find `fixtures`, and what the katas of a folder share."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(katas.resolve())])}


def _write_settings(place: Path) -> None:
    """Write this lab's defaults for JupyterLab; the user's own settings win.

    https://jupyterlab.readthedocs.io/en/stable/user/directories.html#overrides-json
    """
    (place / "overrides.json").write_text(json.dumps(OVERRIDES, indent=1) + "\n", encoding="utf-8")


def _write_workspace(place: Path, page: str, browsed: str) -> None:
    """Write a workspace in which the start page is open, rendered: https://jupyterlab.readthedocs.io/en/stable/user/workspaces.html"""
    from jupyterlab_server.workspaces_handler import WorkspacesManager

    widget = f"markdownviewer-widget:{page}"
    layout = {"main": {"dock": {"type": "tab-area", "currentIndex": 0, "widgets": [widget]}, "current": widget}}
    data = {
        "layout-restorer:data": layout,
        widget: {"data": {"path": page, "factory": "Markdown Preview"}},
        "file-browser-filebrowser:cwd": {"path": browsed},
    }
    workspace = json.dumps({"data": data, "metadata": {"id": WORKSPACE}})
    WorkspacesManager(str(place / "workspaces")).save(WORKSPACE, workspace)


def write_start_page(katas: Path) -> Path:
    """Write the start page for a folder of katas; return it."""
    page = katas.resolve().parent / PAGE
    page.parent.mkdir(exist_ok=True)
    ignore = page.parent / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    page.write_text(f"{start_page(all_katas(katas), page.parent)}\n{OPEN_PAGE}\n", encoding="utf-8")
    return page


def refresh_start_page(katas: Path) -> None:
    """Update the start page if there is one."""
    if (katas.resolve().parent / PAGE).exists():
        write_start_page(katas)
