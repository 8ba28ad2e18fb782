import pytest
import torch
from packets import read_packet, write_packet

TENSORS = {"weight": torch.tensor([[0.1, -2.0, 3e-9], [1e20, 0.0, 1.0]]), "step": torch.tensor(163.0)}


def manifest(width):
    """A manifest that has `width` bytes for a number."""
    return {"updates": 163, "tensors": {name: {"shape": list(t.shape), "bytes": width * t.numel()} for name, t in TENSORS.items()}}


@pytest.mark.parametrize("width", [4, 8])
def test_a_packet_with_room_for_everything_holds_it_bit_for_bit(tmp_path, width):
    write_packet(tmp_path, TENSORS, manifest(width))

    tensors, found = read_packet(tmp_path)

    assert found == manifest(width)
    assert all(torch.equal(tensors[name], t) and tensors[name].dtype == t.dtype for name, t in TENSORS.items())
    assert (tmp_path / "tensors.bin").stat().st_size == 7 * width


def test_numbers_are_those_of_the_width_that_the_manifest_has(tmp_path):
    tensors = {name: t.clamp(max=100.0) for name, t in TENSORS.items()}
    write_packet(tmp_path, tensors, manifest(2))

    found, _ = read_packet(tmp_path)

    assert all(torch.equal(found[name], t.half().float()) for name, t in tensors.items())


def test_tensors_that_are_read_can_be_trained(tmp_path):
    write_packet(tmp_path, TENSORS, manifest(4))
    tensors, _ = read_packet(tmp_path)

    tensors["weight"] += 1

    assert tensors["weight"][0, 1] == -1.0
