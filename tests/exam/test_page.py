import json
from html.parser import HTMLParser

import pytest
from nbformat.v4 import new_markdown_cell

from harness.check.attempt import attempt
from harness.check.examine import RunContext
from harness.course.notebook import authored
from harness.course.submission import submit
from harness.exam.page import write_card, write_review
from harness.exam.scorecard import score
from harness.exam.state import Asked, Drawn, Finished, Judged, Paused, Resumed, Started, Told, append, new_folder, read
from harness.ui import lab_notebook
from harness.ui.view import view_of

SEED = 2_000_007
SUMS = Drawn("sums", SEED, 5, 1, "toys", 1, False)


@pytest.fixture
def review(sums, with_fix, kernels):
    """Sit an exam of the toy kata with real attempts, and return its score card and the two pages."""
    proven = {"variants": {"clip-readings": {"failed": ["check_the_total_is_right"]}}}
    (sums.meta / "proof.json").write_text(json.dumps(proven))

    def review(*notebooks):
        folder = new_folder()
        append(folder, Started(1000.0, 10, 1, "", (SUMS,)))
        append(folder, Paused(1010.0))
        append(folder, Resumed(1310.0))
        for number, (notebook, confidence) in enumerate(notebooks, 1):
            at = 1310.0 + 60 * number
            append(folder, Asked(at, "sums", number, confidence))
            if notebook is None:
                append(folder, Told(at, "sums", number, SEED, False))
                continue
            done = attempt(sums, submit(sums, authored(sums), notebook, "x.ipynb"), RunContext(kernels), seed=None, public_seed=SEED)
            lab_notebook.write(view_of(sums, done, exam=True))
            failed = tuple(check.name for check in done.decisive.verdict.failed) if done.decisive.verdict else ()
            diagnosis = done.diagnosis
            right, wrong = (diagnosis.right, diagnosis.wrong) if diagnosis else ((), ())
            append(
                folder, Judged(at, "sums", number, done.number, done.exit_code, done.fixed, failed, done.decisive.seed, right, wrong, right)
            )
        append(folder, Finished(1900.0, "asked"))
        card = score(read(folder), {"sums": sums}, 2000.0)
        return card, write_card(card).read_text(), write_review(card, {"sums": sums}).read_text()

    return review


class Outline(HTMLParser):
    """Headings, what a page would fetch, and pictures without words."""

    def __init__(self, page):
        super().__init__()
        self.levels, self.fetched, self.wordless = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag[0] == "h" and tag[1:].isdigit():
            self.levels.append(int(tag[1]))
        self.fetched += [value for name, value in attributes if name in ("src", "href") and not value.startswith("#")]
        if tag in ("svg", "img") and not given.get("aria-label"):
            self.wordless.append(attributes)


def test_the_pages_need_nothing_else_and_can_be_read_without_seeing_them(review, with_fix):
    _, card, page = review((with_fix("clip-readings"), 0.9), (with_fix("leave-the-marker-out"), 0.8))

    for outline in (Outline(card), Outline(page)):
        assert outline.fetched == [] and outline.wordless == []
        assert outline.levels[0] == 1 and outline.levels.count(1) == 1
        assert all(after - before <= 1 for before, after in zip(outline.levels, outline.levels[1:], strict=False))
    assert "<script" not in page


def test_the_reviewers_page_replays_every_attempt(review, with_fix):
    clipped, fixed = with_fix("clip-readings"), with_fix("leave-the-marker-out")
    clipped.cells.append(new_markdown_cell("Hypothesis: one reading is <too> large"))

    _, _, page = review((clipped, 0.9), (fixed, None))

    assert "Attempt 1 at 1:10: fails on the public seed (1 claim does not hold)" in page
    assert "Attempt 2 at 2:10: holds on all seeds" in page
    assert "Hypothesis: one reading is &lt;too&gt; large" in page
    assert "<ins>+    return sum(min(r, 10.0) for r in readings)</ins>" in page
    assert "<del>-    return sum(min(r, 10.0) for r in readings)</del>" in page
    assert "the total is off by" in page
    assert page.count("train_loss over 20 steps; highest 999.00 at step") >= 2
    assert "not given" in page


def test_the_reviewer_alone_is_told_the_goal_and_what_a_mask_hides(review, with_fix):
    _, card, page = review((with_fix("clip-readings"), 0.9))

    for secret in ("Find the marker for missing readings.", "The marker still counts, as ten.", "To ask"):
        assert secret in page
        assert secret not in card


def test_the_card_has_the_figures_with_what_they_mean(review, with_fix):
    _, card, _ = review((with_fix("clip-readings"), 0.9), (with_fix("leave-the-marker-out"), 0.8))

    assert "10:00 of 10:00" in card
    assert "1, 5:00 in all, not counted as time used" in card
    assert "1 of 1 katas" in card
    assert "at 2:10" in card
    assert "2 of 5" in card
    assert "Brier score 0.43 over 2 claims" in card
    assert "The first attempt with a field of the diagnosis filled in and right." in card


def test_an_interrupted_attempt_is_shown_as_one(review):
    _, card, page = review((None, 0.5))

    assert "interrupted after a verdict was shown: it counts" in page
    assert "1 of 5" in card


def test_a_lost_entry_of_the_lab_notebook_is_named(review, with_fix, sums, runs):
    card, _, _ = review((with_fix("clip-readings"), None))
    (runs / "sums" / "0001" / lab_notebook.FILE).unlink()

    page = write_review(score(card.exam, {"sums": sums}, 2000.0), {"sums": sums}).read_text()

    assert "The entry of this attempt is missing." in page
    assert "fails on the public seed" in page
