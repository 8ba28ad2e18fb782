from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from harness.check.attempt import attempt
from harness.check.examine import RunContext
from harness.course.notebook import authored
from harness.course.submission import submit
from harness.ui.results import write_junit
from harness.ui.view import view_of
from harness.ui.webpage import write_report


@pytest.fixture
def check(sums, with_fix, kernels):
    def check(fix=None, **cells):
        submission = submit(sums, authored(sums), with_fix(fix, **cells), "x.ipynb")
        return view_of(sums, attempt(sums, submission, RunContext(kernels), seed=0))

    return check


@pytest.fixture
def page(sums, check, tmp_path):
    def page(*arguments, **cells):
        write_report(tmp_path / "report.html", check(*arguments, **cells))
        return (tmp_path / "report.html").read_text()

    return page


class Links(HTMLParser):
    """Everything that a page would fetch."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("src", "href", "xlink:href")]


def test_the_page_shows_checks_curve_and_changes(page):
    text = page("clip-readings")

    assert "the total is off by" in text
    assert 'class="status fail">FAIL' in text
    assert "train_loss over 20 steps; highest 999.00 at step" in text
    assert "<ins>+    return sum(min(r, 10.0) for r in readings)</ins>" in text
    assert "Dashed: the notebook as shipped" in text


def test_the_page_fetches_nothing(page):
    links = Links()
    links.feed(page("clip-readings"))

    assert links.found == []


def test_what_a_learner_wrote_is_text_on_the_page(page):
    text = page(total="def total(readings):\n    return '<script>alert(1)</script>'")

    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_an_error_message_cannot_break_the_page_or_the_xml(sums, check, tmp_path):
    done = check(total="raise ValueError('\\x00\\x1b[31m <b>]]> & \"')")
    write_report(tmp_path / "report.html", done)
    write_junit(tmp_path / "junit.xml", done)

    assert "<b>" not in (tmp_path / "report.html").read_text()
    assert ElementTree.parse(tmp_path / "junit.xml").find(".//error") is not None


def test_junit_has_a_suite_for_each_seed_and_a_case_for_each_check(sums, check, tmp_path):
    write_junit(tmp_path / "junit.xml", check("clip-readings"))

    [suite] = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    assert [case.get("name") for case in suite] == ["check_the_total_is_right", "check_every_reading_is_logged"]
    assert suite[0][0].get("message", "").startswith("the total is off by")
