"""The processes that train one network together, and what they tell each other. Starting them is torchrun's."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist

from cxr_pipeline.errors import TrainingError
from cxr_pipeline.training.network.device import wants_gpu


@dataclass(frozen=True)
class World:
    """This process among those that train together: `rank` of `size`, on GPU `local_rank` of its machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files and tells the events."""
        return self.rank == 0

    def own(self, order: np.ndarray, batch_size: int) -> np.ndarray:
        """This process's images of each batch of `order` [n], whose length is whole batches or below one of them.

        Together the processes take the very batches that one process would.
        """
        if self.size == 1:
            return order
        return order.reshape(-1, batch_size)[:, self.rank :: self.size].ravel()

    def gather_rows(self, rows: np.ndarray, values: torch.Tensor, *, n: int) -> torch.Tensor:
        """float32 [n, 14] in all processes: `values` [m, 14] at this one's `rows` [m], the others' at theirs."""
        every = torch.zeros((n, values.shape[1]), device=values.device)
        every[torch.from_numpy(rows).to(values.device)] = values
        return self.sum(every)

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """`value` summed over the processes, in place; a GPU does not wait for it."""
        if self.size > 1:
            dist.all_reduce(value)
        return value

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether any process says so: all get the same answer at the same step."""
        if self.size == 1:
            return flag
        return bool(self.sum(torch.tensor(float(flag), device=device)) > 0)


@contextmanager
def open_world(device: str) -> Iterator[World]:
    """The world that torchrun describes in the environment, or the one of this process alone.

    NCCL between GPUs, Gloo between CPUs. Raises TrainingError when the processes do not find each other.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    world = World(int(os.environ["RANK"]), size, int(os.environ.get("LOCAL_RANK", "0")))
    try:
        dist.init_process_group("nccl" if wants_gpu(device) else "gloo")
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"The {size} processes did not find each other ({error}): start them with torchrun, and check that the "
            "nodes reach MASTER_ADDR at MASTER_PORT."
        ) from error
    try:
        yield world
    finally:
        dist.destroy_process_group()
