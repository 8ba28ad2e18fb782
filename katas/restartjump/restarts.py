"""A run with several launches: a process that ends, and a Recorder that continues after it.

P parameters, in the order of `named_parameters`
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

from fixtures.training.cluster import checksum
from fixtures.training.recorder import Recorder


class RestartRecorder(Recorder):
    """A Recorder of one model that is rebuilt at each launch: call `follow` after a restart, `finish` at the end.

    Additional columns: `launch`, 1 for the first; `learning_rate_per_parameter`, the rate that the update used, [P]; `state_before` and
    `state_after`, digests of weights and optimizer state before the step's first update and at the end of the step; `updates_unwatched`,
    updates since the last row by other optimizers, or gradient passes of other models, such as before a `follow`.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, **options: Any) -> None:
        self.launch = 1
        self._earlier: list[nn.Module | Optimizer] = []
        super().__init__([model], [optimizer], **options)
        self._steps_unwatched = self._passes_unwatched = 0
        self._counting = [register_optimizer_step_post_hook(self._count_step), register_module_forward_hook(self._count_pass)]
        self._own = {*vars(self), "_own"}

    def _count_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self._steps_unwatched += optimizer is not self.optimizers[0]

    def _count_pass(self, module: nn.Module, args: Any, output: Any) -> None:
        if type(module) is type(self.replicas[0]) and module is not self.replicas[0]:
            self._passes_unwatched += isinstance(output, Tensor) and output.requires_grad

    def follow(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Watch the rebuilt parts and drop foreign attributes; raise ValueError if a part existed before the restart."""
        for name in vars(self).keys() - self._own:
            delattr(self, name)
        self._earlier += [self.replicas[0], self.optimizers[0]]
        memory = {pointer for earlier in self._earlier for pointer in _memory(earlier)}
        if any(earlier is model or earlier is optimizer for earlier in self._earlier) or memory & {*_memory(model), *_memory(optimizer)}:
            raise ValueError("this model or optimizer lived in the process that is gone: a restart has only what is on disk")
        self.launch += 1
        self.replicas, self.optimizers = [model], [optimizer]
        self._parameters = [list(model.parameters())]
        self._clear()
        self._watch(0, model, optimizer)
        self._notice_change(checksum(self._parameters[0]))

    def _watch(self, rank: int, replica: nn.Module, optimizer: Optimizer) -> None:
        super()._watch(rank, replica, optimizer)
        parameters = self._parameters[rank]

        def before_update(opt: Optimizer, args: Any, kwargs: Any) -> None:
            if not self._state_before:
                self._state_before = state_digest(parameters, opt)

        def after_update(opt: Optimizer, args: Any, kwargs: Any) -> None:
            self._rates = learning_rates(parameters, opt)

        optimizer.register_step_pre_hook(before_update)
        optimizer.register_step_post_hook(after_update)

    def _clear(self) -> None:
        super()._clear()
        self._state_before = ""
        self._rates: list[float | None] = [0.0] * len(self._parameters[0])

    def record(self, step: int, loss_per_rank: Sequence[float | None], **columns: Any) -> None:
        """Write the row of a step; see `Recorder.record`."""
        after = state_digest(self._parameters[0], self.optimizers[0])
        own = {
            "launch": self.launch,
            "learning_rate_per_parameter": self._rates,
            "state_before": self._state_before or after,
            "state_after": after,
            "updates_unwatched": max(self._steps_unwatched, self._passes_unwatched),
        }
        self._steps_unwatched = self._passes_unwatched = 0
        super().record(step, loss_per_rank, **own, **columns)

    def finish(self) -> None:
        """Save the final weights and stop counting."""
        for counting in self._counting:
            counting.remove()
        super().finish()


OF_IPYTHON = re.compile(r"_{1,3}|_i{1,3}|_i?\d+|_[iod]h|In|Out")
"""Variables in which IPython keeps cells and their outputs."""


class Process:
    """The process of a launch, with a notebook's variables as its memory.

    Attributes of functions, classes and modules are not covered.
    """

    def __init__(self, variables: dict[str, Any]) -> None:
        """Start the process now; `variables` are the notebook's `globals()`."""
        self._variables = variables
        self._at_start = {name: _copied(value) for name, value in variables.items() if not OF_IPYTHON.fullmatch(name)}

    def end(self, *, keep: Sequence[str] = ()) -> None:
        """Reset every variable to its value at the start, except those in `keep` and IPython's own."""
        for name in list(self._variables):
            if name in keep or OF_IPYTHON.fullmatch(name):
                continue
            if name in self._at_start:
                self._variables[name] = self._at_start[name]
            else:
                del self._variables[name]


def _copied(value: Any) -> Any:
    if type(value) not in (dict, list, set):
        return value
    try:
        return copy.deepcopy(value)
    except Exception:  # it holds something that cannot be copied
        return value.copy()


def _memory(part: nn.Module | Optimizer) -> set[int]:
    """Return the addresses of the tensors of a model or of an optimizer's state."""
    if isinstance(part, nn.Module):
        return {p.data_ptr() for p in part.parameters()}
    return {value.data_ptr() for state in part.state.values() for value in state.values() if isinstance(value, Tensor) and value.numel()}


def learning_rates(parameters: Sequence[Tensor], optimizer: Optimizer) -> list[float | None]:
    """Return an optimizer's rate for each parameter, [P]; None for a parameter that it does not train."""
    rates = {id(p): float(group["lr"]) for group in optimizer.param_groups for p in group["params"]}
    return [rates.get(id(p)) for p in parameters]


def state_digest(parameters: Sequence[Tensor], optimizer: Optimizer) -> str:
    """Return 16 hex digits over all weights and their optimizer state; equal only if every bit is equal.

    Learning rates and other settings are not included.
    """
    digest = hashlib.blake2b(digest_size=8)
    for p in parameters:
        digest.update(_bytes(p))
        state = optimizer.state.get(p, {})
        for name in sorted(state):
            digest.update(name.encode() + _bytes(state[name]))
    return digest.hexdigest()


def _bytes(value: Any) -> bytes:
    if isinstance(value, Tensor):
        return value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    return repr(value).encode()
