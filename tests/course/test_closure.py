from fixtures.recording.journal import REPOSITORY
from harness.course.closure import closure, code, file_digest


def names(paths, base):
    return {str(path.relative_to(base if path.is_relative_to(base) else REPOSITORY)) for path in paths}


def test_imports_are_followed_in_functions_packages_and_relative_ones(tmp_path):
    (tmp_path / "root.py").write_text("def late():\n    from pack import one\n")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    (tmp_path / "pack" / "one.py").write_text("from .two import x\nimport json, torch\n")
    (tmp_path / "pack" / "two.py").write_text("import alone\n")
    (tmp_path / "pack" / "table.csv").write_text("1")
    (tmp_path / "alone.py").write_text("import pack.one\n")
    (tmp_path / "unused.py").write_text("")

    found = closure([tmp_path / "root.py"], [tmp_path])

    assert names(found, tmp_path) == {"root.py", "pack/__init__.py", "pack/one.py", "pack/two.py", "pack/table.csv", "alone.py"}


def test_imports_are_found_in_percent_scripts_and_in_files_that_cells_write(tmp_path):
    script = tmp_path / "notebook.py"
    script.write_text(
        '# %% id="a"\n# %%writefile {folder}/worker.py\n# import plan\n# from fixtures.training.recorder import (\n#     Recorder,\n# )\n\n'
        '# %% [markdown] id="b"\n# from fixtures.faults import text\n\n# %% id="c"\nprint(1)\n'
    )
    (tmp_path / "plan.py").write_text("")

    found = names(closure([script], [tmp_path]), tmp_path)

    assert {"plan.py", "fixtures/training/recorder.py", "fixtures/training/cluster.py"} <= found
    assert "fixtures/faults/text.py" not in found


def test_a_module_that_is_started_as_a_process_counts_and_an_entry_point_of_ipython_does_not():
    found = names(closure(["harness.judging.verdict"]), REPOSITORY)

    assert {"harness/judging/oracle.py", "harness/judging/checks.py", "fixtures/build_scene.py"} <= found
    assert not any(name.startswith(("harness/ui", "harness/magic", "harness/proof")) for name in found)
    assert "harness/sandbox/launch.py" in names(closure(["harness.sandbox.kernel"]), REPOSITORY)


def test_comments_docstrings_and_formatting_do_not_count_and_everything_else_does():
    before = code('def f(x):\n    """Say."""\n    return x + 1\n').digest

    assert code("def f( x ):\n    # why\n    return (x + 1)\n").digest == before
    assert code("def f(x):\n    return x + 2\n").digest != before
    assert code("def f(x):\n    return '1'\n").digest != code("def f(x):\n    return 1\n").digest


def test_what_a_cell_writes_counts_with_the_name_of_the_file():
    assert code("%%writefile a.py\nx = 1").digest != code("%%writefile b.py\nx = 1").digest
    assert code("%matplotlib inline\nx = 1").digest == code("x = 1").digest


def test_text_that_is_not_python_counts_as_it_stands_and_its_imports_are_found():
    found = code("    x = = 1\nfrom fixtures.training import (\nimport plan\n")

    assert found.digest != code("    x = = 2\nfrom fixtures.training import (\nimport plan\n").digest
    assert [name for _, name in found.imports] == ["fixtures.training", "plan"]


def test_other_files_count_by_their_bytes(tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("1")
    before = file_digest(table)
    table.write_text("12")

    assert file_digest(table) != before
