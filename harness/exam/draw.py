"""Draw the katas of an exam that the learner has not met, and write their notebooks, each with a public seed of its own."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from fixtures.recording.journal import runs_folder
from fixtures.seeds import HELD_OUT
from harness.check.history import remembered
from harness.check.preflight import PUBLIC_SEED
from harness.course.errors import UsageError
from harness.course.kata import Kata, listed
from harness.course.notebook import authored, dumps, open_cells
from harness.course.scaffold import put_back
from harness.course.scene_files import world_for
from harness.exam.state import Drawn, Exam, exams

FIRST_EXAM_SEED: int = HELD_OUT.stop
"""Above the practice and held-out seeds: no exam's seed was seen before, or is drawn as a held-out one."""
ATTEMPTS = 5
MINUTES_PER_FURTHER_ATTEMPT = 10
EXAM_CELL = "exam"


def in_tracks(katas: Sequence[Kata], wanted: str) -> list[Kata]:
    """Return the katas that can be drawn from tracks, separated by commas; raises UsageError that lists the known tracks.

    Katas that were never proven are left out: they may not judge fairly.
    """
    tracks = sorted({kata.toml.track for kata in katas})
    asked = [name.strip() for name in wanted.split(",") if name.strip()]
    known = {track.lower(): track for track in tracks}
    if unknown := [name for name in asked if name.lower() not in known]:
        raise UsageError(f"no track {listed(unknown)}; the tracks are {listed(tracks)}. Several: TRACKS='{', '.join(tracks[:2])}'")
    chosen = {known[name.lower()] for name in asked} or set(tracks)
    return [kata for kata in katas if kata.toml.track in chosen and (kata.meta / "proof.json").exists()]


def met(katas: Iterable[Kata]) -> set[str]:
    """Return which katas the learner has met: an attempt, a hint, a run in Jupyter or an exam."""
    examined = {drawn.kata for exam in exams() for drawn in exam.started.drawn}
    return {kata.slug for kata in katas if kata.slug in examined or _opened(kata) or _logged(kata)}


def _opened(kata: Kata) -> bool:
    folder: Path = runs_folder() / kata.slug
    return (folder / "jupyter").exists() or any(folder.glob("worlds/seed-*"))


def _logged(kata: Kata) -> bool:
    return any(remembered(kata.slug, event) for event in ("attempt", "hint"))


def draw(katas: Sequence[Kata], seen: set[str], *, minutes: int, seed: int, also_seen: bool) -> tuple[Drawn, ...]:
    """Draw as many katas as fit into `minutes`, at least one, spread over tracks and levels, each with a public seed of its own.

    The same seed and katas give the same draw. Raises UsageError when the unseen katas would not fill half of the time.
    """
    pool = [kata for kata in katas if also_seen or kata.slug not in seen]
    if 2 * sum(kata.toml.minutes for kata in pool) < minutes:
        raise UsageError(_too_few(katas, pool, minutes, also_seen))
    chosen = _chosen(pool, minutes, random.Random(f"exam {seed}"))
    return tuple(
        Drawn(
            kata=kata.slug,
            seed=public_seed(seed, kata.slug),
            attempts=ATTEMPTS + kata.toml.minutes // MINUTES_PER_FURTHER_ATTEMPT,
            minutes=kata.toml.minutes,
            track=kata.toml.track,
            level=kata.toml.level,
            seen=kata.slug in seen,
        )
        for kata in sorted(chosen, key=lambda kata: (kata.toml.level, kata.slug))
    )


def public_seed(seed: int, slug: str) -> int:
    """Return the public seed of a kata in the exams of a draw's seed."""
    return FIRST_EXAM_SEED + random.Random(f"exam {seed} {slug}").randrange(10**6)


def _chosen(pool: Sequence[Kata], minutes: int, rng: random.Random) -> list[Kata]:
    shuffled = rng.sample(sorted(pool, key=lambda kata: kata.slug), len(pool))
    chosen: list[Kata] = []
    left = minutes
    while fitting := [kata for kata in shuffled if kata not in chosen and kata.toml.minutes <= left]:
        tracks, levels = Counter(k.toml.track for k in chosen), Counter(k.toml.level for k in chosen)
        chosen.append(min(fitting, key=lambda kata: (tracks[kata.toml.track], levels[kata.toml.level])))
        left -= chosen[-1].toml.minutes
    return chosen or [min(shuffled, key=lambda kata: kata.toml.minutes)]


def _too_few(katas: Sequence[Kata], pool: Sequence[Kata], minutes: int, also_seen: bool) -> str:
    there = sum(kata.toml.minutes for kata in pool)
    unseen = f"{listed(k.slug for k in pool)}, meant for {there} minutes in all" if pool else "none"
    ways = [f"MINUTES={there}"] if pool else []
    if not also_seen and len(katas) > len(pool):
        ways.append(f"SEEN=1 to include the {len(katas) - len(pool)} that you have met, on seeds that you have not seen")
    ways.append("other TRACKS")
    of = "in these tracks" if also_seen else "in these tracks that you have not met"
    return f"too few katas for {minutes} minutes: katas {of}: {unseen}. Try {'; or '.join(ways)}. No exam was started"


def lay_out(exam: Path, kata: Kata, drawn: Drawn) -> None:
    """Write a kata's folder of an exam: its notebook, its checks, and its scene, where `scene.open` finds it."""
    folder = exam / "notebooks" / kata.slug
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(world_for(kata, drawn.seed), folder / "world" / str(drawn.seed), dirs_exist_ok=True)
    for path in (kata.checks, *kata.modules):
        shutil.copy(path, folder / path.name)
    (folder / f"{kata.slug}.ipynb").write_text(dumps(exam_copy(kata, drawn)), encoding="utf-8")


def mend(exam: Exam, kata: Kata) -> bool:
    """Rewrite the notebook of a kata and its scene if one of them is lost; return whether one was."""
    drawn = exam.of(kata.slug)
    notebook = exam.notebook(drawn)
    if notebook.exists() and (notebook.parent / "world" / str(drawn.seed)).is_dir():
        return False
    kept = notebook.read_bytes() if notebook.exists() else None
    lay_out(exam.folder, kata, drawn)
    if kept is not None:
        notebook.write_bytes(kept)
    return True


def reset(exam: Exam, kata: Kata) -> Path | None:
    """Put the exam's notebook back as handed out; return the backup of the learner's, None if nothing was changed."""
    drawn = exam.of(kata.slug)
    mend(exam, kata)
    return put_back(exam.notebook(drawn), dumps(exam_copy(kata, drawn)))


def exam_copy(kata: Kata, drawn: Drawn) -> NotebookNode:
    """Return a kata's notebook as an exam hands it out: with the exam's seed and commands."""
    notebook = authored(kata)
    for cell in notebook.cells:
        cell.source = _to_exam(cell.id, cell.source, drawn)
    head = f"{_head(drawn)}\n\n{open_cells(kata, notebook)}"
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell(head, id=EXAM_CELL))
    return notebook


def _head(drawn: Drawn) -> str:
    return (
        f"**Exam.** The public seed is {drawn.seed} here, not {PUBLIC_SEED}: figures in the brief may come from another seed. "
        f"You have {drawn.attempts} attempts and no hints. Save, then `make exam-check KATA={drawn.kata} CONFIDENCE=0.8` in a terminal. "
        "The confidence, from 0 to 1, says how sure you are that your repair holds on held-out seeds. `make exam-status` shows what is left."
    )


def _to_exam(cell_id: str, source: str, drawn: Drawn) -> str:
    if cell_id == "parameters":
        source = source.replace(f"SEED = {PUBLIC_SEED}", f"SEED = {drawn.seed}")
    return source


def as_authored(kata: Kata, drawn: Drawn, learner: NotebookNode) -> NotebookNode:
    """Return a learner's exam copy as a copy of the kata's own notebook: the exam's own edits are undone.

    Then the verdict, the lab notebook and a diff show what the learner changed, and nothing else.
    """
    learner.cells = [cell for cell in learner.cells if cell.get("id") != EXAM_CELL]
    own = {cell.id: cell.source for cell in authored(kata).cells}
    for cell in learner.cells:
        source = "".join(cell.get("source", "")).replace("\r\n", "\n")
        cell_id = cell.get("id")
        if cell_id in own and source == _to_exam(cell_id, own[cell_id], drawn):
            source = own[cell_id]
        cell["source"] = source
    return learner
