import pytest

from harness.course.errors import KataError, UsageError
from harness.course.kata import all_katas, find_kata, load_kata, load_proof


def rewrite(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_an_unknown_key_is_named_with_its_file_and_the_keys_there_are(sums):
    rewrite(sums.folder / "kata.toml", "minutes = 1", "minuts = 1")

    with pytest.raises(KataError) as caught:
        load_kata(sums.folder)

    text = str(caught.value)
    assert (
        "kata.toml: `minuts` is not a key; keys: `schema`, `kind`, `title`, `track`, `level`, `minutes`, `curve`, `budget`, `cells`" in text
    )
    assert "kata.toml: `minutes` is missing" in text


def test_an_unknown_key_in_a_table_is_named_with_its_table(sums):
    rewrite(sums.folder / "kata.toml", "memory_gib", "memory_gb")

    with pytest.raises(KataError, match=r"kata\.toml: \[budget\] `memory_gb` is not a key; keys: `notebook_s`, `memory_gib`"):
        load_kata(sums.folder)


def test_a_value_of_the_wrong_type_is_shown(sums):
    rewrite(sums.folder / "kata.toml", "level = 1", 'level = "easy"')

    with pytest.raises(KataError, match=r"kata\.toml: `level` is 'easy': input should be a valid integer"):
        load_kata(sums.folder)


def test_a_newer_schema_says_which_side_to_update(sums):
    rewrite(sums.folder / "kata.toml", "schema = 2", "schema = 3")

    with pytest.raises(KataError, match="schema 3, and this lab reads schema 2; update the lab"):
        load_kata(sums.folder)


def test_an_older_schema_says_what_to_change(sums):
    rewrite(sums.folder / "kata.toml", "schema = 2", "schema = 1")

    with pytest.raises(
        KataError, match=r"schema 1, and this lab reads schema 2; write `schema = 2` and `kind`; .* `giveaways` is now `spoilers`"
    ):
        load_kata(sums.folder)


def test_a_file_that_is_not_toml_is_named_with_the_place(sums):
    (sums.folder / "kata.toml").write_text("title = \n")

    with pytest.raises(KataError, match=r"kata\.toml is not TOML: .*line 1"):
        load_kata(sums.folder)


def test_an_unknown_kata_is_answered_with_the_nearest(toys):
    with pytest.raises(UsageError, match=r"no kata `sumz` in .*: did you mean `sums`\?"):
        find_kata("sumz", toys)


def test_katas_are_listed_by_track_level_and_name(toys):
    assert [kata.slug for kata in all_katas(toys)] == ["crashes", "dies", "doubles", "hangs", "sums"]


def test_a_fix_declared_twice_is_refused(sums):
    rewrite(sums.meta / "proof.toml", 'name = "scale-down"', 'name = "clip-readings"')

    with pytest.raises(KataError, match="fix `clip-readings` is declared twice"):
        load_proof(sums)


def test_a_fix_that_changes_nothing_is_refused(sums):
    sums.fix_path("log-less").unlink()

    with pytest.raises(KataError, match=r"fix `log-less` changes nothing: it has no `edit`, and no .*log-less\.py"):
        load_proof(sums)


def test_a_file_that_is_no_declared_fix_is_refused(sums):
    sums.fix_path("forgotten").write_text("")

    with pytest.raises(KataError, match=r"`forgotten` is not declared in proof\.toml"):
        load_proof(sums)


def test_a_masking_fix_must_say_what_it_fails(sums):
    rewrite(sums.meta / "proof.toml", 'fails = ["check_every_reading_is_logged"]', "fails = []")

    with pytest.raises(KataError, match="fix `log-less` expects fail and lists 0 checks"):
        load_proof(sums)


def test_exactly_one_right_fix_is_the_reference(sums):
    rewrite(sums.meta / "proof.toml", "reference = true", "")

    with pytest.raises(KataError, match="exactly one right fix needs `reference = true`"):
        load_proof(sums)


def test_an_unknown_key_in_a_fix_is_named_with_its_number(sums):
    rewrite(sums.meta / "proof.toml", 'why = "What', 'because = "What')

    with pytest.raises(KataError, match=r"proof\.toml: \[fix\[4\]\] `because` is not a key; keys: `name`, `extends`"):
        load_proof(sums)
