import numpy as np
import pytest
from shards import ShardReader


@pytest.fixture
def folder(tmp_path):
    """Two shards: five rows and three, numbered."""
    rows = np.arange(8, dtype=np.uint8)[:, None]  # [row, T]
    np.save(tmp_path / "shard-00.npy", rows[:5])
    np.save(tmp_path / "shard-01.npy", rows[5:])
    return tmp_path


def read(reader, times):
    return [next(reader)[:, 0].tolist() for _ in range(times)]


def test_rows_are_read_in_order_across_shards_once(folder):
    reader = ShardReader(folder, 3)

    assert read(reader, 3) == [[0, 1, 2], [3, 4, 5], [6, 7]]
    with pytest.raises(StopIteration):
        next(reader)


def test_a_new_reader_goes_on_where_another_stopped_and_counts_what_it_reads(folder):
    first, second, third = (ShardReader(folder, 2) for _ in range(3))
    read(first, 1)
    second.load_state_dict(first.state_dict())

    assert read(second, 2) == [[2, 3], [4, 5]]
    assert second.rows_read == 4

    third.load_state_dict(second.state_dict())
    assert read(third, 1) == [[6, 7]]


def test_a_reader_that_was_used_can_be_put_back(folder):
    reader = ShardReader(folder, 2)
    start = reader.state_dict()
    read(reader, 3)
    reader.load_state_dict(start)

    assert read(reader, 1) == [[0, 1]]
