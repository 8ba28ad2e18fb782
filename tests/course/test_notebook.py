import copy
import json
import os

import nbformat
import pytest

from harness.course.errors import KataError, SubmissionError
from harness.course.notebook import apply_fix, authored, diffs, dumps, for_learners, ids, read_percent, sources, without_outputs
from harness.course.submission import read_submission, submit


def cell(notebook, cell_id):
    return next(c for c in notebook.cells if c.id == cell_id)


@pytest.fixture
def shipped(sums):
    return authored(sums)


@pytest.fixture
def learner(shipped):
    return copy.deepcopy(shipped)


def take(sums, shipped, learner):
    return submit(sums, shipped, learner, "mine.ipynb")


def test_ids_of_the_percent_headers_become_cell_ids(shipped):
    assert ids(shipped) == ["page", "parameters", "total", "run", "diagnosis"]
    assert all("id" not in c.metadata for c in shipped.cells)


def test_text_above_the_first_cell_is_for_authors(tmp_path):
    path = tmp_path / "notebook.py"
    path.write_text('"""Not for learners."""\n\n# %% id="a"\nx = 1\n')

    assert [c.source for c in read_percent(path).cells] == ["x = 1"]


def test_a_cell_without_an_id_is_named_by_its_place(tmp_path):
    path = tmp_path / "notebook.py"
    path.write_text('# %% id="a"\nx = 1\n\n# %%\ny = 2\n')

    with pytest.raises(KataError, match=r"notebook\.py: cell 2 has no id"):
        read_percent(path)


def test_a_cell_id_used_twice_is_refused(tmp_path):
    path = tmp_path / "notebook.py"
    path.write_text('# %% id="a"\nx = 1\n\n# %% id="a"\ny = 2\n')

    with pytest.raises(KataError, match="cell id `a` occurs twice"):
        read_percent(path)


def test_an_untouched_notebook_is_known_as_shipped(sums, shipped, learner):
    assert take(sums, shipped, learner).as_shipped


def test_editable_cells_are_taken_from_the_learner(sums, shipped, learner):
    cell(learner, "total").source = "total = sum"

    taken = take(sums, shipped, learner)

    assert taken.changed == ("total",)
    assert cell(taken.notebook, "total").source == "total = sum"


def test_a_locked_cell_is_restored_and_noted(sums, shipped, learner):
    cell(learner, "run").source = "pass"

    taken = take(sums, shipped, learner)

    assert cell(taken.notebook, "run").source == cell(shipped, "run").source
    assert taken.notes == ("cell `import json` (cell 4 from the top) is not editable: its shipped content was run",)


def test_a_deleted_locked_cell_is_restored_and_noted(sums, shipped, learner):
    learner.cells = [c for c in learner.cells if c.id != "run"]

    taken = take(sums, shipped, learner)

    assert ids(taken.notebook) == ids(shipped)
    assert taken.notes == ("cell `import json` was deleted: its shipped content was run",)


def test_reordered_cells_run_in_our_order(sums, shipped, learner):
    learner.cells.reverse()

    assert ids(take(sums, shipped, learner).notebook) == ids(shipped)


def test_added_cells_stay_after_their_predecessor(sums, shipped, learner):
    learner.cells.insert(3, copy.deepcopy(learner.cells[2]) | {"id": "mine", "source": "print(total)"})

    taken = take(sums, shipped, learner)

    assert taken.added == 1
    assert [c.source for c in taken.notebook.cells][3] == "print(total)"


def test_what_is_written_into_the_katas_own_text_is_kept_beside_the_notebook(sums, shipped, learner):
    cell(learner, "page").source += "\n- My hypothesis: the sensor"

    submission = take(sums, shipped, learner)

    assert submission.written == {"page": "- My hypothesis: the sensor"}
    assert submission.as_shipped and not submission.notes


def test_windows_line_ends_are_no_edit(sums, shipped, learner):
    for c in learner.cells:
        c.source = c.source.replace("\n", "\r\n")

    taken = take(sums, shipped, learner)

    assert taken.as_shipped
    assert not taken.notes


def test_a_missing_editable_cell_is_named(sums, shipped, learner):
    learner.cells = [c for c in learner.cells if c.id != "total"]

    with pytest.raises(SubmissionError, match=r"mine\.ipynb: editable cell `def total\(readings\):` is missing; .*make reset KATA=sums"):
        take(sums, shipped, learner)


def test_a_split_editable_cell_keeps_its_added_half(sums, shipped, learner):
    cell(learner, "total").source = "x = 1"
    learner.cells.insert(3, copy.deepcopy(cell(learner, "total")) | {"id": "other-half", "source": "total = sum"})

    assert [c.source for c in take(sums, shipped, learner).notebook.cells][2:4] == ["x = 1", "total = sum"]


def test_a_duplicated_editable_cell_is_named_with_its_places(sums, shipped, learner):
    learner.cells.append(copy.deepcopy(cell(learner, "total")))

    with pytest.raises(SubmissionError, match=r"editable cell `def total\(readings\):` occurs 2 times \(cells 3, 6\); keep one"):
        take(sums, shipped, learner)


def test_an_editable_cell_turned_into_markdown_is_named(sums, shipped, learner):
    cell(learner, "total").cell_type = "markdown"

    with pytest.raises(SubmissionError, match=r"editable cell `def total\(readings\):` \(cell 3 from the top\) is markdown, expected code"):
        take(sums, shipped, learner)


def test_a_notebook_without_cell_ids_is_told_so(sums, shipped, learner):
    for c in learner.cells:
        del c["id"]

    with pytest.raises(SubmissionError, match=r"its cells have no ids.*notebook format 4\.5"):
        take(sums, shipped, learner)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; expected a Jupyter notebook"),
        ("{", r"is not JSON \(line 1: "),
        ("[1]", "is JSON but not a notebook of format 4"),
        ('{"nbformat": 3, "worksheets": []}', "is JSON but not a notebook of format 4"),
        (b"\xff\xfe\x00", "is not a notebook"),
    ],
)
def test_a_file_that_is_no_notebook_is_described(tmp_path, content, message):
    path = tmp_path / "x.ipynb"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(SubmissionError, match=message):
        read_submission(path)


def test_a_missing_notebook_says_how_to_get_it_back(tmp_path):
    with pytest.raises(SubmissionError, match=r"does not exist; make reset KATA=… writes the notebook as shipped"):
        read_submission(tmp_path / "x.ipynb")


@pytest.mark.parametrize("text", ["[" * 200_000, '{"cells":' * 100_000])
def test_a_notebook_nested_too_deeply_is_refused(tmp_path, text):
    path = tmp_path / "x.ipynb"
    path.write_text(text)

    with pytest.raises(SubmissionError, match="is nested too deeply to be a notebook"):
        read_submission(path)


def test_a_pipe_in_a_notebooks_place_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.ipynb")

    with pytest.raises(SubmissionError, match="it is not a regular file"):
        read_submission(tmp_path / "x.ipynb")


def test_a_lone_surrogate_is_no_character(sums, shipped, learner, tmp_path):
    cell(learner, "total").source = "x = '\ud800'"

    dumps(take(sums, shipped, learner).notebook).encode("utf-8")


@pytest.mark.parametrize(
    "junk", [{"cells": [3]}, {"cells": [{"source": 7}]}, {"cells": [{"source": [["x"]]}]}, {"cells": [{"id": ["x"], "cell_type": "code"}]}]
)
def test_cells_that_are_none_are_refused_not_crashed_on(sums, shipped, tmp_path, junk):
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}} | junk))

    with pytest.raises(SubmissionError):
        take(sums, shipped, read_submission(path))


def test_a_fix_for_a_cell_that_does_not_exist_is_refused(sums, shipped):
    with pytest.raises(KataError, match="no cell `totl` in the notebook; its cells are `page`, `parameters`, `total`"):
        apply_fix(shipped, {"totl": ""}, sums.fix_path("x"))


def test_pasted_outputs_are_dropped(shipped):
    cell(shipped, "total").outputs = [{"output_type": "stream", "name": "stdout", "text": "fine"}]

    assert cell(without_outputs(shipped), "total").outputs == []


def test_what_is_written_reads_back_unchanged(sums, shipped, tmp_path):
    path = tmp_path / "x.ipynb"
    path.write_text(dumps(shipped))

    assert take(sums, shipped, read_submission(path)).as_shipped


def test_kata_lines_are_no_part_of_a_run(sums):
    learner = for_learners(sums)
    learner.cells += [
        nbformat.v4.new_code_cell("%load_ext harness\n%kata check"),
        nbformat.v4.new_code_cell("if True:\n    %kata hint\nx = 1"),
        nbformat.v4.new_markdown_cell("%kata check"),
    ]

    submission = submit(sums, authored(sums), learner, "x.ipynb")

    assert [cell.source for cell in submission.notebook.cells if cell.id.startswith("added")] == [
        "if True:\n    pass  # %kata hint\nx = 1",
        "%kata check",
    ]
    assert "kata-check" not in sources(submission.notebook)


def test_a_learner_is_told_which_cells_are_open_and_a_run_is_not(sums):
    learner = for_learners(sums)
    told = next(cell for cell in learner.cells if cell.id == "yours").source

    assert "begin with `def total(readings):`, `journal.save_artifact(" in told
    assert learner.cells[1].id == "yours" and not any(cell.metadata["deletable"] for cell in learner.cells)
    assert "yours" not in sources(submit(sums, authored(sums), learner, "x.ipynb").notebook)


def test_the_last_cell_says_how_to_check(sums):
    last = for_learners(sums).cells[-1].source

    assert "# %kata check\n" in last
    assert "make check KATA=sums" in last and "%kata hint" in last


def test_a_notebook_as_shipped_with_only_a_check_in_it_is_as_shipped(sums):
    learner = for_learners(sums)
    learner.cells.append(nbformat.v4.new_code_cell("%kata check 3"))

    assert submit(sums, authored(sums), learner, "x.ipynb").as_shipped


def test_diffs_tell_cells_that_differ():
    assert diffs({"a": "x\ny", "b": "same"}, {"a": "x\nz", "b": "same", "c": "new"}) == [
        ("a", ["@@ -1,2 +1,2 @@", " x", "-y", "+z"]),
        ("c", ["@@ -0,0 +1 @@", "+new"]),
    ]
