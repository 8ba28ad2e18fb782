import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.check.history import remember
from harness.course.errors import UsageError
from harness.course.kata import Kata, KataToml, load_kata
from harness.course.notebook import authored
from harness.course.submission import read_submission, submit
from harness.exam import draw as module
from harness.exam.draw import as_authored, draw, exam_copy, in_tracks, lay_out, mend, met, public_seed, reset
from harness.exam.state import Drawn, Started, append, new_folder, read

ROOT = Path(__file__).parents[2]
SUMS = Drawn("sums", 2_000_007, 5, 1, "toys", 1, False)


@pytest.fixture
def course(tmp_path):
    """Return katas of a name, track, level and minutes each, all proven."""

    def course(*rows):
        katas = []
        for name, track, level, minutes in rows:
            toml = {"schema": 2, "kind": "repair", "title": name, "track": track, "level": level, "minutes": minutes}
            toml |= {"budget": {"notebook_s": 1.0, "memory_gib": 1.0}, "cells": {"editable": ["a"]}}
            folder = tmp_path / "course" / name
            (folder / ".meta").mkdir(parents=True)
            (folder / ".meta" / "proof.json").write_text("{}")
            katas.append(Kata(folder, KataToml.model_validate(toml)))
        return katas

    return course


def names(drawn):
    return {one.kata for one in drawn}


@pytest.fixture
def exam(sums):
    """An exam of the toy kata, laid out and started."""
    folder = new_folder()
    lay_out(folder, sums, SUMS)
    append(folder, Started(1000.0, 10, 1, "", (SUMS,)))
    return read(folder)


def test_a_draw_is_spread_over_tracks_and_levels(course):
    katas = course(("a1", "a", 1, 30), ("a2", "a", 2, 30), ("a3", "a", 3, 30), ("b1", "b", 1, 30), ("c2", "c", 2, 30))

    for seed in range(20):
        drawn = draw(katas, set(), minutes=90, seed=seed, also_seen=False)
        assert {one.track for one in drawn} == {"a", "b", "c"}
    assert len({frozenset(names(draw(katas, set(), minutes=60, seed=seed, also_seen=False))) for seed in range(20)}) > 2
    for seed in range(20):
        levels = {one.level for one in draw(katas[:3], set(), minutes=60, seed=seed, also_seen=False)}
        assert len(levels) == 2


def test_the_same_seed_draws_the_same_katas_and_public_seeds(course):
    katas = course(*((f"k{i}", f"t{i % 3}", 1 + i % 4, 20) for i in range(9)))

    once, again, other = (draw(katas, set(), minutes=90, seed=seed, also_seen=False) for seed in (7, 7, 8))

    assert once == again
    assert {one.seed for one in once}.isdisjoint(one.seed for one in other)
    assert all(one.seed == public_seed(7, one.kata) >= module.FIRST_EXAM_SEED for one in once)


def test_as_many_are_drawn_as_fit_and_one_at_least(course):
    katas = course(("a", "t", 1, 20), ("b", "t", 2, 35), ("c", "u", 3, 30))

    assert sum(one.minutes for one in draw(katas, set(), minutes=55, seed=3, also_seen=False)) <= 55
    assert names(draw(katas, set(), minutes=10, seed=3, also_seen=False)) == {"a"}


def test_a_kata_has_five_attempts_and_one_more_for_every_ten_minutes(course):
    assert [one.attempts for one in draw(course(("a", "t", 1, 9), ("b", "t", 2, 35)), set(), minutes=60, seed=3, also_seen=False)] == [5, 8]


def test_what_was_met_is_not_drawn_unless_asked_for(course):
    katas = course(("a", "t", 1, 20), ("b", "t", 2, 20))

    assert names(draw(katas, {"a"}, minutes=40, seed=3, also_seen=False)) == {"b"}
    assert [one.seen for one in draw(katas, {"a"}, minutes=40, seed=3, also_seen=True)] == [True, False]


def test_too_few_are_refused_with_what_to_do(course):
    katas = course(("a", "t", 1, 20), ("b", "t", 2, 20))

    with pytest.raises(UsageError) as refused:
        draw(katas, {"a"}, minutes=90, seed=3, also_seen=False)

    message = str(refused.value)
    assert "too few katas for 90 minutes" in message
    assert "`b`, meant for 20 minutes in all" in message
    assert "MINUTES=20" in message and "SEEN=1" in message and "No exam was started" in message


def test_every_way_of_meeting_a_kata_counts(sums, toys, runs):
    katas = [load_kata(toys / name) for name in ("sums", "doubles", "hangs", "crashes", "dies")]
    assert met(katas) == set()

    remember(katas[1], "hint", level=1)
    remember(katas[2], "attempt", fixed=False)
    (runs / "crashes" / "jupyter").mkdir(parents=True)
    append(new_folder(), Started(1000.0, 10, 1, "", (SUMS,)))

    assert met(katas) == {"sums", "doubles", "hangs", "crashes"}


def test_tracks_are_chosen_by_name_and_an_unknown_one_lists_those_there_are(course):
    katas = course(("a", "spike desk", 1, 20), ("b", "numerics", 2, 20), ("c", "agents", 2, 20))

    assert [kata.slug for kata in in_tracks(katas, "Spike Desk, agents")] == ["a", "c"]
    assert len(in_tracks(katas, "")) == 3
    with pytest.raises(UsageError, match="no track `spikes`; the tracks are `agents`, `numerics`, `spike desk`"):
        in_tracks(katas, "spikes")


def test_what_was_never_proven_is_not_drawn(course):
    katas = course(("a", "t", 1, 20), ("b", "t", 2, 20))
    (katas[0].meta / "proof.json").unlink()

    assert [kata.slug for kata in in_tracks(katas, "t")] == ["b"]


def test_a_copy_that_nobody_changed_is_the_katas_own_notebook(sums):
    copy = exam_copy(sums, SUMS)

    assert any(cell.source == "SEED = 2000007" for cell in copy.cells)
    assert "make exam-check KATA=sums" in copy.cells[0].source
    submission = submit(sums, authored(sums), as_authored(sums, SUMS, copy), "x.ipynb")
    assert submission.as_shipped and not submission.notes


def test_only_the_learners_changes_to_an_exams_copy_count(sums):
    copy = exam_copy(sums, SUMS)
    [form] = [cell for cell in copy.cells if cell.id == "diagnosis"]
    form.source = form.source.replace('"cause": ""', '"cause": "data"')

    submission = submit(sums, authored(sums), as_authored(sums, SUMS, copy), "x.ipynb")

    assert submission.changed == ("diagnosis",) and not submission.notes
    assert '"cause": "data"' in submission.notebook.cells[-1].source


def test_the_scene_lies_where_the_notebook_looks_for_it_and_the_answers_do_not(sums, exam):
    folder = exam.notebook(SUMS).parent
    code = "from fixtures import scene; print(scene.open(2000007) / 'readings.json')"

    done = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )

    assert Path(done.stdout.strip()) == folder / "world" / "2000007" / "readings.json"
    assert len(json.loads(Path(done.stdout.strip()).read_text())) == 20
    assert sorted(p.name for p in folder.iterdir()) == ["checks.py", "sums.ipynb", "world"]


def test_lost_files_are_rewritten_and_the_learners_work_is_kept(sums, exam):
    notebook = exam.notebook(SUMS)
    assert not mend(exam, sums)

    notebook.write_text("mine")
    (notebook.parent / "world" / "2000007" / "readings.json").unlink()
    (notebook.parent / "world" / "2000007").rmdir()
    assert mend(exam, sums)
    assert notebook.read_text() == "mine"

    notebook.unlink()
    assert mend(exam, sums)
    assert read_submission(notebook).cells


def test_a_reset_keeps_the_learners_notebook_beside_it(sums, exam):
    notebook = exam.notebook(SUMS)
    assert reset(exam, sums) is None

    notebook.write_text("mine")

    assert reset(exam, sums).read_text() == "mine"
    assert read_submission(notebook).cells
