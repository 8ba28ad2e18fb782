import json
import re

import pytest

from harness.check.attempt import attempt
from harness.check.examine import RunContext
from harness.check.history import remember, remembered
from harness.course.errors import UsageError
from harness.course.kata import all_katas, load_kata
from harness.course.notebook import authored
from harness.course.submission import submit
from harness.ui import jupyterlab, lab_notebook, progress
from harness.ui.hints import next_hint
from harness.ui.progress import minutes, standings
from harness.ui.view import view_of


@pytest.fixture
def check(sums, with_fix, kernels):
    """Check a notebook, keep its entry, and have its seeds be what the test says."""

    def check(fix=None, seed=0, **cells):
        done = attempt(sums, submit(sums, authored(sums), with_fix(fix, **cells), "x.ipynb"), RunContext(kernels), seed=seed)
        lab_notebook.write(view_of(sums, done))
        return done

    return check


def test_hints_come_in_order_and_the_last_one_stays(sums):
    assert [next_hint(sums).level for _ in range(5)] == [1, 2, 3, 3, 3]
    assert len(remembered("sums", "hint")) == 3


def test_a_hint_counts_when_it_is_shown_by_its_level(sums):
    assert next_hint(sums, 2).level == 2
    assert next_hint(sums, 2).level == 2

    assert [entry["level"] for entry in remembered("sums", "hint")] == [2]
    assert [next_hint(sums).level for _ in range(3)] == [1, 3, 3]


def test_a_hint_that_is_not_there_is_refused(sums):
    with pytest.raises(UsageError, match="sums has 3 hints, no hint 7"):
        next_hint(sums, 7)


def test_what_was_begun_comes_before_what_is_easier(toys, sums):
    others = [kata for kata in all_katas(toys) if kata.slug != "sums"]
    remember(sums, "attempt", fixed=False, seeds=[0], diagnosis=None)

    assert progress.try_next(progress.standings([*others, sums])).slug == "sums"


@pytest.mark.parametrize(("seconds", "said"), [(0, "0 min"), (59, "0 min"), (425, "7 min"), (3_960, "1 h 06 min"), (90_000, "25 h 00 min")])
def test_times_are_said_as_people_say_them(seconds, said):
    assert minutes(seconds) == said


def test_the_track_that_begins_easiest_comes_first(toys):
    for slug, track, level in (("doubles", "b", 2), ("sums", "z", 1), ("hangs", "z", 4)):
        toml = toys / slug / "kata.toml"
        toml.write_text(re.sub(r'track = ".*"', f'track = "{track}"', re.sub(r"level = \d", f"level = {level}", toml.read_text())))

    found = [s.kata.slug for s in standings([load_kata(toys / slug) for slug in ("doubles", "hangs", "sums")])]

    assert found == ["sums", "hangs", "doubles"]


def test_one_seed_alone_does_not_make_a_kata_fixed(sums):
    remember(sums, "attempt", fixed=True, seeds=[3], diagnosis=None)
    assert not progress.standings([sums])[0].fixed

    remember(sums, "attempt", fixed=True, seeds=[0, 1001, 1002], diagnosis={"right": ["cause"], "wrong": [], "blank": False})
    assert progress.standings([sums])[0].state == "fixed and diagnosed"
    assert progress.try_next(progress.standings([sums])) is None


def test_the_start_page_links_to_notebooks_and_is_ignored_by_git(toys):
    page = jupyterlab.write_start_page(toys)

    text = page.read_text()
    assert "Reload … from Disk" in text
    assert "](../katas/sums/sums.ipynb)" in text
    assert "**Try next:**" in text
    assert (page.parent / ".gitignore").read_text() == "*\n"


def test_jupyterlab_starts_at_the_start_page_or_at_a_notebook(toys, sums):
    assert any("/lab/workspaces/start" in option for option in jupyterlab.command(toys, None))
    assert any(option.endswith("/lab/tree/katas/sums/sums.ipynb") for option in jupyterlab.command(toys, sums))


def test_a_debrief_keeps_the_reference_until_it_is_earned(sums, check):
    check("clip-readings")
    found = progress.debrief(sums)

    assert [stop.entry.fixed for stop in found.stops] == [False]
    assert found.reference == [] and found.fixed_s is None

    given_up = progress.debrief(sums, give_up=True)
    assert [heading for heading, _ in given_up.reference][:2] == ["The way", "Timeline"]
    assert progress.debrief(sums).reference, "giving up is remembered"


def test_a_debrief_tells_the_way(sums, check):
    progress.opened(sums)
    check("clip-readings")
    next_hint(sums)
    right = json.dumps({"cause": "sensor", "first_bad_step": 1})
    check(diagnosis=f"journal.save_artifact('diagnosis', {right})", total="def total(readings):\n    return 0")

    first, second = progress.debrief(sums).stops
    assert first.hints == 0 and second.hints == 1
    assert second.after_s >= first.after_s >= 0
    assert [cell for cell, _ in second.edits] == ["total", "diagnosis"]
    assert second.entry.guess == "cause sensor, first_bad_step 1"
