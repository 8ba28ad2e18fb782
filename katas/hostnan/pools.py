"""A Recorder of ranks that compute on devices from a pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from fixtures.training.devices import Device, DeviceLinear
from fixtures.training.recorder import Recorder


class PoolRecorder(Recorder):
    """A Recorder with one more column: `products`, the number of matrix products that each device computed since the previous row, by device name.

    It counts the pool's devices and any other device that a replica computes on. A device that was power-cycled counts under its old name.
    """

    def __init__(self, replicas: Sequence[nn.Module], optimizers: Sequence[Optimizer], pool: Mapping[str, Device], **options: Any) -> None:
        self._counted = {device: device.operations for device in pool.values()}
        super().__init__(replicas, optimizers, **options)

    def record(self, step: int, loss_per_rank: Sequence[float | None], **columns: Any) -> None:
        """Write the row of a step, as `Recorder.record` does; trailing ranks without a loss may be left out."""
        for replica in self.replicas:
            for module in replica.modules():
                if isinstance(module, DeviceLinear) and isinstance(module.device, Device):
                    self._counted.setdefault(module.device, 0)
        products: dict[str, int] = {}
        for device, counted in self._counted.items():
            products[device.name] = products.get(device.name, 0) + device.operations - counted
        losses = [*loss_per_rank, *[None] * (len(self.replicas) - len(loss_per_rank))]
        super().record(step, losses, products=products, **columns)
        # Validation is not part of a rank's work.
        self._counted = {device: device.operations for device in self._counted}
