import re
import tomllib

import nbformat
import pytest

from fixtures.recording.journal import REPOSITORY
from harness.course import keys
from harness.course.kata import load_kata
from harness.course.notebook import authored


def test_every_dependency_has_an_exact_version():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.match(r"[\w.-]+", need).group().lower().replace("_", "-") for need in wanted}
    lines = [line for line in keys.LOCK.read_text().splitlines() if not line.startswith("#")]

    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    assert names <= {line.partition("==")[0].lower().replace("_", "-") for line in lines}


def run_key(kata, notebook, seed=0):
    return keys.run_key(kata, keys.run_surroundings(kata), notebook, seed)


def edited(notebook, cell_type, text):
    copy = nbformat.from_dict(notebook)
    next(cell for cell in copy.cells if cell.cell_type == cell_type).source += text
    return copy


def test_a_run_depends_on_the_code_cells_and_the_seed_and_not_on_markdown_or_comments(sums):
    notebook = authored(sums)
    before = run_key(sums, notebook)

    assert run_key(sums, edited(authored(sums), "markdown", " More.")) == before
    assert run_key(sums, edited(authored(sums), "code", "\n# more")) == before
    assert run_key(sums, edited(authored(sums), "code", "\nmore = 1")) != before
    assert run_key(sums, notebook, 1) != before


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("kata.toml", "notebook_s = 20.0", "notebook_s = 21.0", (True, False)),
        ("kata.toml", "minutes = 1", "minutes = 2", (False, False)),
        (".meta/scene.py", "NONE = 999.0", "NONE = 998.0", (True, True)),
        ("checks.py", "high=0.5", "high=0.6", (False, True)),
        (".meta/baseline.json", '"sd": 0.0', '"sd": 0.1', (False, True)),
        (".meta/baseline.json", '"scale-down": 1000000.0', '"scale-down": 7.0', (False, False)),
    ],
)
def test_what_runs_and_verdicts_depend_on(sums, file, old, new, changes):
    before = run_key(sums, authored(sums)), keys.verdict_key(sums)
    path = sums.folder / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))

    kata = load_kata(sums.folder)
    after = run_key(kata, authored(kata)), keys.verdict_key(kata)

    assert tuple(b != a for b, a in zip(before, after, strict=True)) == changes
