"""A run that is started more than once: a process that ends, and a Recorder that goes on where it ended.

P parameters, as `named_parameters` lists them
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
    """A Recorder of one model that is built anew at each launch of its run: call `follow` after a restart, `finish` at the end.

    Its rows say besides: `launch`, 1 for the first; `learning_rate_per_parameter`, what the update used for each parameter, [P];
    `state_before` and `state_after`, digests of weights and optimizer state where the step's first update began and when the step was over;
    `updates_unwatched`, made since the row before by optimizers that it did not watch, as before a `follow`; whoever makes them by hand runs a model
    that nobody watches, for its gradients.
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
        """Watch what a restart has built, and forget what others have put here; ValueError when part of it was alive before."""
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
        """Write the row of a step: see `Recorder.record`."""
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
        """Hand over the final weights, and stop counting."""
        for counting in self._counting:
            counting.remove()
        super().finish()


OF_IPYTHON = re.compile(r"_{1,3}|_i{1,3}|_i?\d+|_[iod]h|In|Out")
"""What the shell keeps of cells and their outputs among a notebook's variables."""


class Process:
    """The process of a launch, as far as a notebook's variables stand in for its memory.

    What functions, classes and modules keep in attributes is not seen.
    """

    def __init__(self, variables: dict[str, Any]) -> None:
        """The process starts now; `variables` are the notebook's `globals()`."""
        self._variables = variables
        self._at_start = {name: _copied(value) for name, value in variables.items() if not OF_IPYTHON.fullmatch(name)}

    def end(self, *, keep: Sequence[str] = ()) -> None:
        """Give every variable the value that it had at the start, but those in `keep` and the shell's own."""
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
    except Exception:  # of something in it there is one alone
        return value.copy()


def _memory(part: nn.Module | Optimizer) -> set[int]:
    """Where the tensors of a model, or of what an optimizer keeps, lie."""
    if isinstance(part, nn.Module):
        return {p.data_ptr() for p in part.parameters()}
    return {value.data_ptr() for state in part.state.values() for value in state.values() if isinstance(value, Tensor) and value.numel()}


def learning_rates(parameters: Sequence[Tensor], optimizer: Optimizer) -> list[float | None]:
    """Return the rate that an optimizer has for each parameter, [P]; None for one that it does not train."""
    rates = {id(p): float(group["lr"]) for group in optimizer.param_groups for p in group["params"]}
    return [rates.get(id(p)) for p in parameters]


def state_digest(parameters: Sequence[Tensor], optimizer: Optimizer) -> str:
    """Return 16 hex digits of all weights and of what the optimizer keeps for them: equal only where every bit is.

    Learning rates and other settings do not count.
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
