"""The katas of this repository, as files; what they show when they run is `make prove`'s business."""

import re
from pathlib import Path

import pytest

from harness.course.kata import all_katas, load_proof
from harness.course.notebook import authored
from harness.course.scaffold import check_names, problems
from harness.sandbox.forkserver import kernels_for

ROOT = Path(__file__).parent.parent
KATAS = all_katas(ROOT / "katas")
MAX_CELL_LINES = 40  # a file that ranks import is one cell; the others stay under 30
MAX_CODE_LINES = 175
BRIEF = ["What happened", "What is known", "What you hand over", "Rules"]
MAX_BRIEF_WORDS = 200


@pytest.mark.parametrize("kata", KATAS, ids=lambda kata: kata.slug)
def test_a_kata_is_well_formed_and_in_sync(kata):
    assert problems(kata, load_proof(kata)) == []


@pytest.mark.parametrize("kata", KATAS, ids=lambda kata: kata.slug)
def test_a_notebook_can_be_read_in_one_sitting(kata):
    code = [cell.source.splitlines() for cell in authored(kata).cells if cell.cell_type == "code"]

    assert max(len(lines) for lines in code) <= MAX_CELL_LINES
    assert sum(len(lines) for lines in code) <= MAX_CODE_LINES


@pytest.mark.parametrize("kata", KATAS, ids=lambda kata: kata.slug)
def test_the_incident_brief_has_its_four_parts_and_names_the_held_out_seeds(kata):
    brief = authored(kata).cells[0].source
    words = [word for word in brief.partition("\n")[2].split() if re.search("[A-Za-z]", word)]

    assert re.findall(rf"^(?:#+ |\*\*)({'|'.join(BRIEF)})\b", brief, flags=re.MULTILINE) == BRIEF
    assert len(words) <= MAX_BRIEF_WORDS
    assert "held-out" in brief


@pytest.mark.parametrize("kata", KATAS, ids=lambda kata: kata.slug)
def test_every_check_says_what_holds_in_one_line(kata):
    text = kata.checks.read_text()

    assert len(check_names(kata)) == len(
        re.findall(r'^def check_\w+\([^)]*\)(?: -> None)?:\n    """[A-Z0-9].*\."""$', text, flags=re.MULTILINE)
    )


@pytest.mark.parametrize("kata", KATAS, ids=lambda kata: kata.slug)
def test_the_harness_knows_no_kata_by_name(kata):
    sources = [*(ROOT / "harness").rglob("*.py"), *(ROOT / "fixtures").rglob("*.py")]

    assert [p.name for p in sources if kata.slug in p.read_text()] == []


@pytest.mark.parametrize(
    "kata", [k for k in KATAS if "torch" not in k.meta.joinpath("notebook.py").read_text()], ids=lambda kata: kata.slug
)
def test_a_kata_without_torch_has_none_anywhere(kata):
    texts = [kata.probe, kata.checks, kata.meta / "scene.py", kata.meta / "oracle.py"]

    assert [p.name for p in texts if p and re.search(r"torch|fixtures\.(models|cluster|telemetry|ranks)", p.read_text())] == []


@pytest.mark.slow
def test_kernels_can_be_forked_after_the_imports_of_every_notebook():
    with kernels_for(KATAS) as kernels:
        if kernels.server:
            kernels.server.wait_until_ready()
