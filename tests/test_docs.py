"""README, Makefile, command line and the toml tables say the same."""

import re
from pathlib import Path

import pytest

from harness.cli import main
from harness.course.kata import Budget, Cells, Fix, KataToml, Proof

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z-]+):.*## ", MAKEFILE, flags=re.MULTILINE)
NOT_A_COMMAND = {"help", "test", "lint"}
COMMANDS = dict(main.commands) | {
    f"{name}-{below}": command for name, group in main.commands.items() for below, command in getattr(group, "commands", {}).items()
}


def test_every_target_is_in_the_readme():
    assert [t for t in TARGETS if f"make {t}" not in README and t != "help"] == []


def test_every_target_that_the_readme_names_exists():
    assert sorted(set(re.findall(r"make ([a-z]+(?:-[a-z]+)*)", README)) - set(TARGETS)) == []


def test_targets_and_commands_are_the_same():
    assert sorted(set(TARGETS) - NOT_A_COMMAND) == sorted(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(name):
    assert (COMMANDS[name].help or "").endswith((".", ")"))


@pytest.mark.parametrize("table", [KataToml, Budget, Cells, Proof, Fix])
def test_every_toml_key_is_in_the_readme(table):
    keys = [field.alias or name for name, field in table.model_fields.items()]

    assert [key for key in keys if f"`{key}`" not in README and f"{key} =" not in README and f"[{key}]" not in README] == []


def test_links_within_the_repository_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]

    assert [link for link in links if not (ROOT / link).exists()] == []
