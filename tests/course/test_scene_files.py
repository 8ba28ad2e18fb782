from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.seeds import HELD_OUT, KEY_BYTES, key_path, number_of
from harness.course.errors import KataError
from harness.course.scene_files import world_for


def test_a_world_is_built_once(sums):
    world = world_for(sums, 7)
    built = (world / "readings.json").stat().st_mtime_ns

    assert world_for(sums, 7) == world
    assert (world / "readings.json").stat().st_mtime_ns == built


def test_a_held_out_seed_is_drawn_from_a_number_that_it_does_not_tell(sums, monkeypatch, tmp_path):
    seed = HELD_OUT.start
    (sums.meta / "scene.py").write_text("def build(number, world):\n    (world / 'number').write_text(str(number))\n")
    here = (world_for(sums, seed) / "number").read_text()
    assert here == str(number_of(seed)) != str(seed)

    kept = world_for(sums, seed)
    key_path().write_bytes(bytes(KEY_BYTES))
    assert world_for(sums, seed) != kept, "another key, another scene"


def test_another_scene_is_another_world(sums):
    world = world_for(sums, 7)
    (sums.meta / "scene.py").write_text((sums.meta / "scene.py").read_text() + "\nX = 1\n")

    assert world_for(sums, 7) != world


def test_a_scene_that_breaks_speaks_for_itself_and_leaves_nothing(sums, runs):
    (sums.meta / "scene.py").write_text("def build(seed, world):\n    (world / 'half').touch()\n    raise ValueError('no shards')\n")

    with pytest.raises(KataError, match=r"scene\.py: build\(7\) failed: ValueError: no shards"):
        world_for(sums, 7)

    assert list((runs / "sums" / "worlds").iterdir()) == []


def test_two_runs_that_need_the_same_scene_build_it_once(sums, tmp_path):
    built = tmp_path / "built"
    (sums.meta / "scene.py").write_text(
        f"import time\ndef build(seed, world):\n    with open({str(built)!r}, 'a') as log:\n        log.write('x')\n    time.sleep(0.5)\n"
    )

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: world_for(sums, 7), range(2))

    assert first == second
    assert built.read_text() == "x"
