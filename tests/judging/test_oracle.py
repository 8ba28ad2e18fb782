import json

import pytest

from harness.course.errors import KataError
from harness.judging.oracle import Oracle
from harness.judging.verdict import Judge


def test_the_truth_and_what_was_recomputed_come_back_as_plain_values(sums, tmp_path):
    (tmp_path / "total.json").write_text("0.0")

    found = Oracle(sums.folder).look(0, tmp_path)

    assert found["recomputed"]["off"] == pytest.approx(found["truth"]["total"])
    json.dumps(found)


def test_a_run_that_left_nothing_is_unreadable_not_an_error(sums, tmp_path):
    found = Oracle(sums.folder).look(0, tmp_path)

    assert found["unreadable"] == "the run left no total.json"


def test_a_kata_without_an_oracle_recomputes_nothing(sums, tmp_path):
    (sums.meta / "oracle.py").unlink()

    assert Oracle(sums.folder).look(0, tmp_path)["recomputed"] == {}


def test_a_kata_without_a_scene_is_malformed(sums):
    (sums.meta / "scene.py").unlink()

    with pytest.raises(KataError, match=r"scene\.py is missing"):
        Oracle(sums.folder)


def test_an_oracle_that_breaks_is_a_kata_error_with_its_own_words(sums, tmp_path):
    (sums.meta / "oracle.py").write_text("def recompute(evidence, truth):\n    return truth['nothing']\n")

    with (
        Judge(sums.folder) as judge,
        pytest.raises(KataError, match=r"(?s)harness\.judging\.oracle broke: KeyError: 'nothing'.*oracle\.py\", line 2"),
    ):
        judge.look(0, tmp_path)


def test_evidence_that_takes_for_ever_to_read_is_refused_and_not_the_katas_fault(sums, tmp_path, monkeypatch):
    (sums.meta / "oracle.py").write_text("import time\n\n\ndef recompute(evidence, truth):\n    time.sleep(60)\n")

    with Judge(sums.folder) as judge:
        with monkeypatch.context() as impatient:
            impatient.setattr("harness.judging.child.ANSWER_S", 4.0)
            found = judge.look(0, tmp_path)
        verdict = judge.check(0, tmp_path, found)

    assert found["truth"]
    total = next(c for c in verdict.checks if c.name == "check_the_total_is_right")
    assert total.status == "fail"
    assert total.message.startswith(
        "nothing could be recomputed: reading what the run left: harness.judging.oracle was killed: it took more than 4 s"
    )


def test_the_truth_of_a_seed_is_computed_once_and_cannot_be_spoiled(sums, tmp_path):
    (tmp_path / "total.json").write_text("0.0")
    (sums.meta / "scene.py").write_text(
        "import random\nCALLS = []\n\ndef truth(seed):\n    CALLS.append(seed)\n    random.seed(seed)\n    return {'parts': [1]}\n"
    )
    (sums.meta / "oracle.py").write_text(
        "import random\n\ndef recompute(evidence, truth):\n    truth['parts'].append(2)\n    return {'n': len(truth['parts']), 'drawn': random.random()}\n"
    )
    oracle = Oracle(sums.folder)

    first, second = oracle.look(3, tmp_path), oracle.look(3, tmp_path)

    assert first["recomputed"] == second["recomputed"]
    assert oracle._scene.CALLS == [3]
