"""papermill's engine for our kernels: it passes the kernel manager, a clock and a place to note the current cell."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import nbformat
import papermill
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_core.utils import ensure_event_loop
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines

from harness.sandbox.bubblewrap import Stage
from harness.sandbox.forkserver import ForkedProcess

Fork = Callable[[str, int], ForkedProcess]
"""Starts a kernel, given its connection file and the descriptor of its log."""
ENGINE = "lab"
MAX_OUTPUT_CHARS = 5_000_000


@dataclass
class Session:
    """One kernel, its deadline and its current cell."""

    km: AsyncKernelManager
    env: dict[str, str]
    log: IO[bytes]
    """Receives the output of the kernel's process, which does not belong in the learner's terminal."""
    deadline: float
    """On the clock of time.monotonic."""
    before: Callable[[str], None] = lambda cell: None
    """Called with the id of a cell before it runs."""
    cell: NotebookNode | None = None
    """The cell that is running, or ran last."""
    finished: list[str] = field(default_factory=list)
    """Ids of the cells that ran to their end."""
    counted: list[NotebookNode] = field(default_factory=list)
    """Code cells in the order in which they were started: IPython's In[1], In[2], …"""
    output_chars: int = 0
    """How much the cells have printed and shown so far."""
    waited_s: float = 0.0
    """Time spent in `before`, which does not count as the notebook's."""

    def seconds_left(self, cell: NotebookNode | None = None) -> float:
        # nbclient takes 0 for "no limit".
        return max(0.05, self.deadline - time.monotonic())

    def on_start(self, cell: NotebookNode, cell_index: int) -> None:
        began, left = time.monotonic(), self.deadline - time.monotonic()
        self.deadline = math.inf
        self.before(cell.id)
        self.deadline = time.monotonic() + left
        self.waited_s += time.monotonic() - began
        self.cell = cell
        if cell.cell_type == "code" and cell.source.strip():
            self.counted.append(cell)

    def on_end(self, cell: NotebookNode, cell_index: int, execute_reply: Any) -> None:
        if execute_reply["content"]["status"] == "ok":
            self.finished.append(cell.id)


class CappedClient(PapermillNotebookClient):  # type: ignore[misc]  # papermill has no types
    """papermill's client, which keeps at most MAX_OUTPUT_CHARS of a notebook's output."""

    def __init__(self, nb_man: Any, session: Session, **traits: Any) -> None:
        super().__init__(nb_man, **traits)
        self._session = session

    def output(self, outs: list[NotebookNode], msg: dict[str, Any], display_id: str, cell_index: int) -> Any:
        """Take an output message; beyond the limit it is dropped, and the cell says so once."""
        before = self._session.output_chars
        self._session.output_chars += _length(msg["content"])
        if self._session.output_chars <= MAX_OUTPUT_CHARS or msg["msg_type"] == "error":
            return super().output(outs, msg, display_id, cell_index)
        if before <= MAX_OUTPUT_CHARS:
            outs.append(
                nbformat.v4.new_output("stream", text=f"[output cut off here: the notebook printed over {MAX_OUTPUT_CHARS} characters]\n")
            )
        return None


def _length(content: dict[str, Any]) -> int:
    return len(content.get("text", "")) + sum(len(str(value)) for value in content.get("data", {}).values())


class LabEngine(Engine):  # type: ignore[misc]  # papermill has no types
    """papermill's nbclient engine with a session instead of a kernel name."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, *, session: Session, **kwargs: Any) -> None:
        client = CappedClient(
            nb_man,
            session,
            km=session.km,
            timeout_func=session.seconds_left,
            startup_timeout=60,
            raise_on_iopub_timeout=False,
            iopub_timeout=10,
            resources=kwargs["resources"],
            on_cell_start=session.on_start,
            on_cell_executed=session.on_end,
        )
        try:
            # Not cleanup_kc=True: nbclient would kill the kernel's whole process group, with the parent that sweeps up after it.
            client.execute(env=session.env, stdout=session.log, stderr=session.log, cleanup_kc=False)
        finally:
            if client.kc is not None:
                client.kc.stop_channels()


class PromptClient(AsyncKernelClient):  # type: ignore[misc]
    """A client that is ready as soon as the kernel answers; jupyter_client waits for 0.2 s of silence.

    An XPUB socket greets each new subscriber: https://jupyter.org/enhancement-proposals/65-jupyter-xpub/jupyter-xpub.html
    """

    async def _async_wait_for_ready(self, timeout: float | None = None) -> None:
        deadline = time.monotonic() + (timeout or math.inf)
        self.kernel_info()
        greeted, answered = False, False
        while not (greeted and answered):
            if not answered and await self.shell_channel.msg_ready():
                reply = await self.shell_channel.get_msg(timeout=1)
                answered = reply["msg_type"] == "kernel_info_reply"
                self._handle_kernel_info_reply(reply)
            if not greeted and await self.iopub_channel.msg_ready():
                # Whatever comes first shows that the subscription stands.
                await self.iopub_channel.get_msg(timeout=1)
                greeted = True
            if not await self.parent.is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
            if time.monotonic() > deadline:
                raise RuntimeError(f"Kernel didn't respond in {timeout} seconds")
            await asyncio.sleep(0.005)

    wait_for_ready = _async_wait_for_ready


class LabKernelManager(AsyncKernelManager):  # type: ignore[misc]
    """The manager of one kernel, which has sockets in its own folder and is a fork of `server` if there is one.

    Unix sockets, not TCP: ports are shared with the whole machine, and ipykernel warns about them at each start.
    """

    def __init__(self, stage: Stage, argv: list[str], fork: Fork | None) -> None:
        super().__init__(client_factory=PromptClient)
        provisioner = {"kernel_provisioner": {"provisioner_name": "failure-katas"}}
        # Not the user's `python3`.
        self._kernel_spec = KernelSpec(argv=argv, display_name="Python 3", language="python", metadata=provisioner if fork else {})
        self.transport = "ipc"
        self.ip = str(stage.scratch / "k")
        self.connection_file = str(stage.scratch / "connection.json")
        self.fork = fork


class ForkProvisioner(LocalProvisioner):  # type: ignore[misc]
    """Starts the kernel through the manager's fork server; jupyter_client finds it by its entry point in pyproject.toml."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> dict[str, Any]:
        self.process = self.parent.fork(self.parent.connection_file, kwargs["stdout"].fileno())
        self.pid = self.pgid = self.process.pid
        self.cwd = kwargs.get("cwd")
        return self.connection_info  # type: ignore[no-any-return]


def execute(notebook: NotebookNode, output: Path, parameters: dict[str, Any], session: Session, cwd: Path) -> None:
    """Run a notebook with papermill; raises what papermill and nbclient raise."""
    papermill_engines.register(ENGINE, LabEngine)
    with _own_event_loop() as loop:
        try:
            _execute(notebook, output, parameters, session, cwd)
        finally:
            loop.run_until_complete(session.km.cleanup_resources())


@contextmanager
def _own_event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Close the event loop that nbclient makes for this thread, and cancel tasks that an ended kernel left in it.

    nbclient leaves one behind for each notebook: a long `prove` would run out of file descriptors.
    """
    loop = ensure_event_loop()
    try:
        yield loop
    finally:
        waiting = asyncio.all_tasks(loop)
        for task in waiting:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*waiting, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _execute(notebook: NotebookNode, output: Path, parameters: dict[str, Any], session: Session, cwd: Path) -> None:
    papermill.execute_notebook(
        notebook,
        # papermill formats paths as templates, so braces in a folder's name are doubled.
        str(output).replace("{", "{{").replace("}", "}}"),
        parameters=parameters,
        engine_name=ENGINE,
        kernel_name="python3",
        language="python",
        progress_bar=False,
        request_save_on_cell_execute=False,
        # resources, not cwd=: papermill's cwd changes the directory of the whole process, so parallel runs land in each other's folder.
        resources={"metadata": {"path": str(cwd)}},
        session=session,
    )
