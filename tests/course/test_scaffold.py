import re

import pytest

from harness.course.errors import UsageError
from harness.course.kata import load_proof
from harness.course.scaffold import blanks, hints, new, postmortem, problems, reset, sync


@pytest.fixture
def synced(sums):
    sync(sums)
    return sums


def found(kata):
    return "\n".join(problems(kata, load_proof(kata)))


def test_a_well_formed_kata_has_no_problems(synced):
    assert found(synced) == ""


def test_sync_is_idempotent(synced):
    before = synced.notebook.read_text()

    assert sync(synced) is None
    assert synced.notebook.read_text() == before


def test_sync_keeps_what_a_learner_wrote(synced):
    synced.notebook.write_text("my work")

    assert sync(synced).read_text() == "my work"


def test_sync_keeps_no_copy_of_what_it_wrote_itself(synced):
    source = synced.meta / "notebook.py"
    source.write_text(source.read_text().replace("09:00", "10:00"))

    assert sync(synced) is None
    assert "10:00" in synced.notebook.read_text()


def test_reset_backs_the_learners_notebook_up_first(synced):
    synced.notebook.write_text("my work")

    backup = reset(synced)

    assert backup.read_text() == "my work"
    assert re.fullmatch(r"sums\.\d{8}-\d{6}\.bak\.ipynb", backup.name)


def test_two_resets_within_a_second_keep_two_backups(synced):
    backups = set()
    for n in range(3):
        synced.notebook.write_text(f"my work {n}")
        backups.add(reset(synced))

    assert sorted(path.read_text() for path in backups) == ["my work 0", "my work 1", "my work 2"]


def test_reset_of_an_untouched_notebook_keeps_nothing(synced):
    assert reset(synced) is None


def test_reset_brings_a_deleted_notebook_back(synced):
    synced.notebook.unlink()

    assert reset(synced) is None
    assert synced.notebook.exists()


def test_hints_come_in_levels(sums):
    assert hints(sums) == ["Print the readings.", "Three of them are alike.", "Those three are not readings."]


def test_a_learner_does_not_see_the_authors_notes(sums):
    assert postmortem(sums).endswith("A toy.")


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        (".meta/notebook.py", "09:00", "10:00", "is not what .meta/notebook.py says"),
        (".meta/hints.md", "## What it means\n", "", "has 2 hints under `## ` headings, expected three or more"),
        (".meta/postmortem.md", "## Guard", "## Guards", "lacks the sections `Guard`"),
        ("checks.py", "def check_every_reading_is_logged", "def check_logged", "no check `check_every_reading_is_logged` in checks.py"),
        ("checks.py", "added up", "added up without the sentinel", "checks.py says `sentinel`, which gives the cause away"),
    ],
)
def test_what_is_out_of_step_is_named(synced, file, old, new, problem):
    path = synced.folder / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))

    assert problem in found(synced)


def test_a_new_kata_works_but_for_its_blanks(tmp_path):
    kata = new("slowfade", tmp_path)

    assert {p.rpartition("/")[2].partition(" ")[0] for p in blanks(kata)} == {
        "kata.toml",
        "notebook.py",
        "scene.py",
        "proof.toml",
        "hints.md",
        "postmortem.md",
    }
    assert problems(kata, load_proof(kata)) == blanks(kata)


def test_a_new_kata_overwrites_nothing(tmp_path):
    new("slowfade", tmp_path)

    with pytest.raises(UsageError, match="slowfade exists and is not overwritten"):
        new("slowfade", tmp_path)


@pytest.mark.parametrize("name", ["Slow", "a", "slow fade", "../x", "9lives"])
def test_a_name_that_is_no_slug_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="is no name for a kata"):
        new(name, tmp_path)
