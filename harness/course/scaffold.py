"""The files of a kata: write the notebook from its source, say what is missing or out of step."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from pathlib import Path

from fixtures.recording.journal import runs_folder
from harness.course.errors import UsageError
from harness.course.fixes import with_fix
from harness.course.kata import DIAGNOSIS, Kata, Proof, listed, load_kata, shown
from harness.course.notebook import authored, dumps, for_learners

REQUIRED = ("notebook.py", "scene.py", "proof.toml", "hints.md", "postmortem.md", "notes.md")
POSTMORTEM = ("Symptom", "Timeline", "Root cause", "Why it was hard to see", "Fix", "Guard", "Source")


TEMPLATE = Path(__file__).with_name("new_kata")
SLUG = r"[a-z][a-z0-9-]{1,31}"


def new(name: str, katas: Path) -> Kata:
    """Write a kata that works, with its blanks marked TODO; raises UsageError when the name is taken or no slug."""
    if not re.fullmatch(SLUG, name):
        raise UsageError(f"`{name}` is no name for a kata: 2 to 32 small letters, digits and dashes, a letter first; it names the symptom")
    folder = katas / name
    if folder.exists():
        raise UsageError(f"{shown(folder)} exists and is not overwritten")
    shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    kata = load_kata(folder)
    sync(kata)
    return kata


def blanks(kata: Kata) -> list[str]:
    """Return where a kata still says TODO."""
    texts = [kata.folder / "kata.toml", kata.checks, *sorted(p for p in kata.meta.rglob("*") if p.suffix in (".py", ".toml", ".md"))]
    found = []
    for path in texts:
        lines = [n for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if "TODO" in line]
        if lines:
            found.append(f"{shown(path)} still has blanks (TODO) in line {', '.join(map(str, lines))}")
    return found


def sync(kata: Kata) -> Path | None:
    """Write the notebook from `.meta/notebook.py`; return where a learner's edits were backed up, None if there were none."""
    synced = runs_folder() / kata.slug / "synced.sha256"
    found = kata.notebook.read_bytes() if kata.notebook.exists() else b""
    if synced.exists() and synced.read_text() == hashlib.sha256(found).hexdigest():
        # What lies there is what the last sync wrote, from an older source.
        kata.notebook.unlink()
    backup = reset(kata)
    synced.parent.mkdir(parents=True, exist_ok=True)
    synced.write_text(hashlib.sha256(kata.notebook.read_bytes()).hexdigest())
    return backup


def reset(kata: Kata) -> Path | None:
    """Put the shipped notebook back; return where the learner's was backed up, None if there was nothing to lose."""
    return put_back(kata.notebook, dumps(for_learners(kata)))


def put_back(notebook: Path, text: str) -> Path | None:
    """Write a notebook as it was handed out; return where what lay there was backed up, None if there was nothing to lose."""
    if not notebook.exists():
        notebook.write_text(text, encoding="utf-8")
        return None
    if notebook.read_text(encoding="utf-8", errors="replace") == text:
        return None
    backup = _free_name(notebook)
    shutil.copy2(notebook, backup)
    notebook.write_text(text, encoding="utf-8")
    return backup


def _free_name(path: Path) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    names = [f"{path.stem}.{stamp}.bak.ipynb", *(f"{path.stem}.{stamp}-{n}.bak.ipynb" for n in range(2, 100))]
    return next(p for p in map(path.with_name, names) if not p.exists())


def hints(kata: Kata) -> list[str]:
    """Return the hints of a kata, from where to look to what kind of change."""
    text = (kata.meta / "hints.md").read_text(encoding="utf-8")
    return [part.strip() for part in re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]]


def postmortem(kata: Kata) -> str:
    """Return the post-mortem, as Markdown."""
    return (kata.meta / "postmortem.md").read_text(encoding="utf-8").strip()


def problems(kata: Kata, proof: Proof) -> list[str]:
    """Return what is missing or out of step in a kata's folder; empty when it is well-formed."""
    found = [f"{shown(kata.meta / name)} is missing" for name in REQUIRED if not (kata.meta / name).exists()]
    if found:
        return found
    shipped = authored(kata)
    for fix in proof.fix:
        with_fix(kata, proof, fix.name, shipped)
    if not kata.notebook.exists() or kata.notebook.read_text(encoding="utf-8") != dumps(for_learners(kata)):
        found.append(
            f"{shown(kata.notebook)} is not what .meta/notebook.py says: make sync KATA={kata.slug}, or make reset if a learner edited it"
        )
    if len(hints(kata)) < 3:
        found.append(f"{shown(kata.meta / 'hints.md')} has {len(hints(kata))} hints under `## ` headings, expected three or more")
    headings = re.findall(r"^## (.+)$", postmortem(kata), flags=re.MULTILINE)
    if missing := [h for h in POSTMORTEM if h not in headings]:
        found.append(f"{shown(kata.meta / 'postmortem.md')} lacks the sections {listed(missing)}")
    return found + blanks(kata) + _undeclared_checks(kata, proof) + _spoilers(kata, proof)


def check_names(kata: Kata) -> list[str]:
    """Return the names of the checks in checks.py, in order."""
    return re.findall(r"^def (check_\w+)", kata.checks.read_text(encoding="utf-8"), flags=re.MULTILINE)


def _undeclared_checks(kata: Kata, proof: Proof) -> list[str]:
    known = [*check_names(kata), *([DIAGNOSIS] if kata.diagnosis_decides else [])]
    declared = {name for fails in (proof.broken.fails, *(fix.fails for fix in proof.fix)) for name in fails}
    return [f"{shown(kata.meta / 'proof.toml')}: no check {listed([name])} in checks.py" for name in sorted(declared - set(known))]


def _spoilers(kata: Kata, proof: Proof) -> list[str]:
    first_hint = (hints(kata) or [""])[0]
    visible = {
        shown(kata.folder / "kata.toml"): (kata.folder / "kata.toml").read_text(encoding="utf-8"),
        shown(kata.checks): kata.checks.read_text(encoding="utf-8"),
        shown(kata.notebook): "\n".join(cell.source for cell in authored(kata).cells),
        f"{shown(kata.meta / 'hints.md')} (first hint)": first_hint,
        "the kata's name": kata.slug,
    }
    return [
        f"{where} says `{word}`, which gives the cause away (proof.toml, spoilers)"
        for where, text in visible.items()
        for word in proof.spoilers
        if word.lower() in text.lower()
    ]
