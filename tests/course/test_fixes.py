import pytest

from harness.course.errors import KataError
from harness.course.fixes import fix_cells, read_fix, with_fix
from harness.course.kata import load_proof
from harness.course.notebook import authored, sources

BLOCK = """
[[fix]]
name = "{name}"
extends = "{extends}"
expect = "fail"
fails = ["check_the_total_is_right"]
edit = [{edit}]
"""


@pytest.fixture
def declare(sums):
    """Add a fix to the toy kata's proof.toml."""

    def declare(name, *edits, extends=""):
        edit = ", ".join(f"{{ cell = {cell!r}, find = {find!r}, replace = {replace!r} }}" for cell, find, replace in edits)
        path = sums.meta / "proof.toml"
        path.write_text(path.read_text() + BLOCK.format(name=name, extends=extends, edit=edit))

    return declare


def test_an_edit_replaces_its_text_and_nothing_else(sums, declare):
    declare("double", ("total", "return sum(readings)", "return 2 * sum(readings)"))

    cells = read_fix(sums, "double")

    assert list(cells) == ["total"]
    assert cells["total"] == sources(authored(sums))["total"].replace("return sum(readings)", "return 2 * sum(readings)")


def test_a_fix_stands_on_the_one_that_it_extends(sums, declare):
    declare("marker-twice", ("total", "999.0", "998.0"), extends="leave-the-marker-out")

    assert read_fix(sums, "marker-twice")["total"] == read_fix(sums, "leave-the-marker-out")["total"].replace("999.0", "998.0")


@pytest.mark.parametrize(("find", "found"), [("return total", 0), ("r", 4)])
def test_a_text_that_does_not_occur_exactly_once_is_named_with_its_cell(sums, declare, find, found):
    declare("odd", ("total", find, "x"))

    with pytest.raises(
        KataError, match=rf"proof\.toml: fix `odd`: in the cell `total` the text '{find}' occurs {found} times, expected once"
    ):
        read_fix(sums, "odd")


def test_an_unknown_cell_of_an_edit_is_named_with_those_there_are(sums, declare):
    declare("odd", ("totl", "x", "y"))

    with pytest.raises(KataError, match=r"fix `odd`: no cell `totl` in the notebook; its cells are .*`total`"):
        read_fix(sums, "odd")


def test_an_unknown_fix_below_is_named(sums, declare):
    declare("odd", ("total", "sum", "max"), extends="nothing")

    with pytest.raises(KataError, match="fix `odd` extends `nothing`, which is not a fix of this kata"):
        read_fix(sums, "odd")


def test_a_fix_stands_on_two_others_at_most(sums, declare):
    declare("one", ("total", "999.0", "998.0"), extends="leave-the-marker-out")
    declare("two", ("total", "998.0", "997.0"), extends="one")
    declare("three", ("total", "997.0", "996.0"), extends="two")

    assert "997.0" in read_fix(sums, "two")["total"]
    with pytest.raises(KataError, match="fix `three` stands on more than 2 others"):
        read_fix(sums, "three")


def test_the_shipped_notebook_is_left_as_it_is(sums):
    shipped = authored(sums)

    patched = with_fix(sums, load_proof(sums), "scale-down", shipped)

    assert sources(patched)["total"] == fix_cells(sums, load_proof(sums), "scale-down", shipped)["total"]
    assert sources(shipped) == sources(authored(sums))
