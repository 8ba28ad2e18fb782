"""A Recorder of ranks that compute on devices from a pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from fixtures.training.devices import Device, DeviceLinear
from fixtures.training.recorder import Recorder


class PoolRecorder(Recorder):
    """A Recorder whose rows say besides: `products`, how many each device has computed since the row before, by its name.

    A device counts when it is in the pool, or when a replica has come to compute on it: one that was powered on anew counts under its old name.
    """

    def __init__(self, replicas: Sequence[nn.Module], optimizers: Sequence[Optimizer], pool: Mapping[str, Device], **options: Any) -> None:
        self._counted = {device: device.operations for device in pool.values()}
        super().__init__(replicas, optimizers, **options)

    def record(self, step: int, loss_per_rank: Sequence[float | None], **columns: Any) -> None:
        """Write the row of a step: see `Recorder.record`; ranks at the end that have no loss may be left out."""
        for replica in self.replicas:
            for module in replica.modules():
                if isinstance(module, DeviceLinear) and isinstance(module.device, Device):
                    self._counted.setdefault(module.device, 0)
        products: dict[str, int] = {}
        for device, counted in self._counted.items():
            products[device.name] = products.get(device.name, 0) + device.operations - counted
        losses = [*loss_per_rank, *[None] * (len(self.replicas) - len(loss_per_rank))]
        super().record(step, losses, products=products, **columns)
        # What the validation costs is nobody's work.
        self._counted = {device: device.operations for device in self._counted}
