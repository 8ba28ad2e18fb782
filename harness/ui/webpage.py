"""The pages of an attempt: report.html, one file that needs nothing else, and the verdict under a notebook's cell."""

from __future__ import annotations

from pathlib import Path

from harness.ui.view import CheckView


def write_report(path: Path, view: CheckView) -> None:
    """Write an attempt as a page that needs nothing else."""
    _write(path, "report.html.j2", view)


def write_fragment(path: Path, view: CheckView) -> None:
    """Write an attempt as a part of a page: what stands under a notebook's cell."""
    _write(path, "verdict.html.j2", view)


def _write(path: Path, template: str, view: CheckView) -> None:
    page = render(template, view=view, done=view.attempt, kata=view.kata, postmortem=as_html(view.postmortem))
    path.write_text(page, encoding="utf-8", errors="replace")  # a learner's message may hold half a character


def render(template: str, **values: object) -> str:
    """Return a page, from a template of this folder: what is put into it is text, never markup."""
    import jinja2  # here: what does not write pages does not pay for it

    folder = jinja2.FileSystemLoader(Path(__file__).with_name("templates"))
    environment = jinja2.Environment(loader=folder, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.get_template(template).render(values)


def as_html(markdown: str) -> str:
    """Return a kata's own prose as HTML; markup in it is shown, not obeyed."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).render(markdown) if markdown else ""
