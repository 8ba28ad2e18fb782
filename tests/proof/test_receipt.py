import json

import pytest

from harness.course import closure, keys
from harness.course.kata import load_kata
from harness.proof.receipt import content_key, due, state


def receipt(kata, content=None, own=None, runs_s=60):
    variants = {"broken": {"seeds": [0, 1, 2]}, "known": {"seeds": [0]}}
    written = {"content": content or content_key(kata), "own": own or keys.own_key(kata), "runs_s": runs_s, "variants": variants}
    (kata.meta / "proof.json").write_text(json.dumps(written))


@pytest.fixture
def katas(toys):
    """One that changed, one that is stale, two that are proven."""
    katas = [load_kata(toys / name) for name in ("sums", "doubles", "crashes", "dies")]
    receipt(katas[0], "another", "another")
    receipt(katas[1], "another")
    for kata in katas[2:]:
        receipt(kata)
    return katas


def test_a_kata_is_changed_stale_or_proven(katas):
    assert [state(kata) for kata in katas] == ["changed", "stale", "proven", "proven"]


@pytest.mark.parametrize(("minutes", "chosen", "stale"), [(0, 1, 1), (0.5, 2, 0), (1.0, 3, 0), (9, 4, 0)])
def test_changed_katas_are_due_then_stale_ones_and_others_as_many_as_fit(katas, minutes, chosen, stale):
    plan = due(katas, minutes, 2, "2026-11-24")

    assert plan.chosen[:chosen][:2] == tuple(katas[: min(chosen, 2)])
    assert (len(plan.chosen), len(plan.stale), len(plan.proven)) == (chosen, stale, 4 - chosen - stale)


def test_without_a_time_the_changed_and_the_stale_are_due(katas):
    assert due(katas, None, 2, "2026-11-24").chosen == tuple(katas[:2])


def test_the_others_come_up_by_turns(toys):
    katas = [load_kata(toys / name) for name in ("doubles", "crashes", "dies")]
    for kata in katas:
        receipt(kata)

    chosen = {due(katas, 0.5, 2, f"2026-11-{day:02}").chosen[0].slug for day in range(1, 31)}

    assert chosen == {"doubles", "crashes", "dies"}


@pytest.fixture
def pack(toys, tmp_path):
    """A kata that shares a package with its neighbours and has data of its scene; another that does neither."""
    (toys / "packlib").mkdir()
    (toys / "packlib" / "__init__.py").write_text("")
    (toys / "packlib" / "export.py").write_text("LIMIT = 3\n")
    (toys / "sums" / ".meta" / "runs").mkdir()
    (toys / "sums" / ".meta" / "runs" / "one.csv").write_text("step,loss\n0,1\n")
    oracle = toys / "sums" / ".meta" / "oracle.py"
    oracle.write_text("from packlib.export import LIMIT\nfrom fixtures.faults import spikes\n" + oracle.read_text())
    katas = [load_kata(toys / name) for name in ("sums", "doubles")]
    for kata in katas:
        receipt(kata)
    return katas


def states(katas):
    return [state(kata) for kata in katas]


def test_a_docstring_a_comment_or_a_hint_makes_nothing_stale(pack, toys):
    export = toys / "packlib" / "export.py"
    export.write_text('"""What is shared."""\n\n# The limit.\nLIMIT  =  3\n')
    hints = toys / "sums" / ".meta" / "hints.md"
    hints.write_text(hints.read_text() + "\nmore\n")
    notebook = toys / "sums" / ".meta" / "notebook.py"
    notebook.write_text(notebook.read_text() + '\n# %% [markdown] id="more"\n# More text.\n')

    assert states(pack) == ["proven", "proven"]


def test_a_shared_module_makes_those_katas_stale_that_import_it(pack, toys):
    (toys / "packlib" / "export.py").write_text("LIMIT = 4\n")

    assert states(pack) == ["stale", "proven"]


def test_data_in_the_meta_folder_is_part_of_the_kata(pack, toys):
    (toys / "sums" / ".meta" / "runs" / "one.csv").write_text("step,loss\n0,2\n")

    assert states(pack) == ["changed", "proven"]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("fixtures/faults/spikes.py", ["stale", "proven"]),
        ("fixtures/faults/text.py", ["proven", "proven"]),
        ("fixtures/recording/artifacts.py", ["stale", "stale"]),
        ("harness/sandbox/watchdog.py", ["stale", "stale"]),
        ("harness/sandbox/launch.py", ["stale", "stale"]),
        ("harness/judging/bands.py", ["stale", "stale"]),
        ("harness/ui/matrix.py", ["proven", "proven"]),
    ],
)
def test_a_module_of_the_lab_makes_exactly_those_stale_that_rest_on_it(pack, monkeypatch, file, expected):
    digest = closure.file_digest
    monkeypatch.setattr(keys, "file_digest", lambda path: digest(path) + "x" * str(path).endswith(file))

    assert states(pack) == expected


def test_another_torch_makes_everything_stale(pack, monkeypatch):
    monkeypatch.setattr(keys, "torch_version", lambda: "9.9.9")

    assert states(pack) == ["stale", "stale"]
