"""The documentation, the Makefile, the command line, the toml tables and the folders agree with each other."""

import re
from itertools import groupby
from pathlib import Path

import pytest

from harness.cli import main
from harness.course.kata import Broken, Budget, Cells, Edit, Fix, KataToml, Proof, all_katas

ROOT = Path(__file__).parent.parent
GUIDES = ["README.md", "katas/README.md", "harness/README.md"]
PAGES = [*GUIDES, "fixtures/README.md", "CHANGELOG.md", ".github/CONTRIBUTING.md", ".github/SECURITY.md"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in GUIDES)
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = re.findall(r"^([a-z-]+):.*## ", MAKEFILE, flags=re.MULTILINE)
VARIABLES = set(re.findall(r"\$\((?:call need,|if \$\(|or \$\()?([A-Z_]+)\)", MAKEFILE)) - {"BIN", "LAB", "READY", "MAKEFILE_LIST"}
NOT_A_COMMAND = {"help", "test", "lint"}
COMMANDS = dict(main.commands) | {
    f"{name}-{below}": command for name, group in main.commands.items() for below, command in getattr(group, "commands", {}).items()
}


def kata_table(katas):
    """Return the table of tracks and katas as it must be in the README."""
    lines = ["| track | katas: level, name, symptom |", "|---|---|"]
    for track, group in groupby(all_katas(katas), key=lambda kata: kata.toml.track):
        entries = [f"{kata.toml.level} · [{kata.slug}](katas/{kata.slug}) · {kata.toml.title}" for kata in group]
        lines.append(f"| {track} | {'<br>'.join(entries)} |")
    return "\n".join(lines)


def test_the_readme_lists_every_kata():
    table = kata_table(ROOT / "katas")

    assert table in README, f"put this table under `## The katas` of README.md:\n\n{table}\n"


def test_the_readme_stays_short():
    assert len(README.splitlines()) <= 90


def test_every_target_is_in_a_guide():
    assert [t for t in TARGETS if f"make {t}" not in GUIDE and t != "help"] == []


def test_every_variable_of_the_makefile_is_in_a_guide():
    assert [name for name in sorted(VARIABLES) if not re.search(rf"\b{name}\b", GUIDE)] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_target_that_a_page_names_exists(page):
    text = (ROOT / page).read_text(encoding="utf-8")

    assert sorted(set(re.findall(r"`make ([a-z]+(?:-[a-z]+)*)", text)) - set(TARGETS)) == []


def test_targets_and_commands_are_the_same():
    assert sorted(set(TARGETS) - NOT_A_COMMAND) == sorted(COMMANDS)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_a_page_names_exists(page):
    named = re.findall(r"`kata ([a-z]+)(?: ([a-z]+))?", (ROOT / page).read_text(encoding="utf-8"))

    assert [name for name, below in named if name not in main.commands] == []
    assert [below for name, below in named if name == "exam" and below and f"exam-{below}" not in COMMANDS] == []


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(name):
    assert (COMMANDS[name].help or "").partition("\n\n")[0].endswith((".", ")"))


@pytest.mark.parametrize("table", [KataToml, Budget, Cells, Proof, Broken, Fix, Edit])
def test_every_toml_key_is_in_a_guide(table):
    assert [key for key in keys_of(table) if f"`{key}`" not in GUIDE and f"`[{key}]`" not in GUIDE and f"`[[{key}]]`" not in GUIDE] == []


def test_every_toml_key_that_the_guide_lists_exists():
    guide = (ROOT / "katas" / "README.md").read_text(encoding="utf-8")
    section = guide[guide.index("## kata.toml") : guide.index("## Checks")]
    listed = set(re.findall(r"^\| `\[*([a-z_]+)\]*`", section, flags=re.MULTILINE))
    known = {key for table in (KataToml, Budget, Cells, Proof, Broken, Fix, Edit) for key in keys_of(table)}

    assert listed - known == set()
    assert known - listed == set()


@pytest.mark.parametrize("page", PAGES)
def test_links_within_the_repository_lead_somewhere(page):
    folder = (ROOT / page).parent
    links = [link for link in re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text(encoding="utf-8")) if "://" not in link]

    assert [link for link in links if not leads_somewhere(folder, page, link)] == []


def leads_somewhere(folder, page, link):
    """Return whether the file of a link exists, and has the heading that the link names."""
    path, _, heading = link.partition("#")
    target = folder / path if path else ROOT / page
    if not target.exists() or not heading:
        return target.exists()
    headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return heading in [re.sub(r"[^\w\- ]", "", found.lower()).replace(" ", "-") for found in headings]


@pytest.mark.parametrize("package", ["harness", "fixtures"])
def test_the_readme_of_a_package_names_its_modules(package):
    text = (ROOT / package / "README.md").read_text(encoding="utf-8")
    found = [path for path in (ROOT / package).rglob("*.py") if "new_kata" not in path.parts and not path.name.startswith("__")]

    assert [path.stem for path in sorted(found) if path.parent.name != "plots" and not re.search(rf"\b{path.stem}\b", text)] == []


def keys_of(table):
    return [field.alias or name for name, field in table.model_fields.items()]
