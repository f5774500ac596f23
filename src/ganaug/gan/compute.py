"""Device, precision and processes of training.

lightning-fabric starts the processes, or joins those started by torchrun or SLURM. The networks are
plain modules; processes exchange one flat sum of gradients per update.
"""

import ctypes
import sys
from dataclasses import dataclass
from typing import TypeVar

import psutil
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors

from ganaug.errors import TrainingError, explained

Value = TypeVar("Value")

# glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


# gloo raises a RuntimeError in all processes when one of them is gone.
_exchange = explained(
    TrainingError,
    "the exchange with the other processes of this training failed; if one is gone, start all "
    "again: they go on from the last saved state",
    RuntimeError,
)


@dataclass(frozen=True)
class Compute:
    """A device, the precision of its convolutions, and the rank of this process."""

    device: torch.device
    bf16: bool
    fabric: Fabric | None = None  # of more than one process

    @property
    def rank(self) -> int:
        """0 for the process that evaluates, logs and saves."""
        return self.fabric.global_rank if self.fabric else 0

    @property
    def world_size(self) -> int:
        """Number of processes."""
        return self.fabric.world_size if self.fabric else 1

    def autocast(self) -> torch.autocast:
        """Run convolutions in bf16 if that is fast; else change nothing."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)

    @_exchange
    def average_gradients(self, network: nn.Module) -> None:
        """Average the gradients over all processes, in one flat exchange."""
        if self.fabric is None:
            return
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        flat = _flatten_dense_tensors(gradients)  # type: ignore[no-untyped-call]
        mean = self.fabric.all_reduce(flat, reduce_op="mean")
        parts = _unflatten_dense_tensors(mean, gradients)  # type: ignore[no-untyped-call]
        torch._foreach_copy_(gradients, list(parts))

    def share(self, batch: Tensor) -> Tensor:
        """The rows of this process, from a batch that is the same in all processes."""
        return batch.chunk(self.world_size)[self.rank]

    @_exchange
    def agree(self, value: Value) -> Value:
        """Return the value of process 0 in all processes; waits for them."""
        return self.fabric.broadcast(value) if self.fabric else value

    @_exchange
    def maximum(self, value: int) -> int:
        """The largest of all processes' values."""
        if self.fabric is None:
            return value
        largest = self.fabric.all_reduce(torch.tensor(value, device=self.device), reduce_op="max")
        return int(largest.item())  # type: ignore[union-attr]

    def fits(self, num_bytes: int) -> bool:
        """Whether the device can hold this for the whole run: at most half of its free memory.

        False where nobody knows how much is free.
        """
        if self.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.device)
        else:
            try:
                free = psutil.virtual_memory().available
            except (OSError, KeyError):  # no /proc/meminfo
                return False
        return num_bytes <= free // 2

    def describe(self) -> str:
        """For people: 'cpu, 2 threads, fp32'."""
        parts = [f"{self.world_size} processes"] if self.world_size > 1 else []
        if self.device.type == "cuda":
            parts += [torch.cuda.get_device_name(self.device)]
        else:
            parts += ["cpu", f"{torch.get_num_threads()} threads"]
        return ", ".join([*parts, "bf16" if self.bf16 else "fp32"])


def choose_compute(
    *, device: str = "auto", precision: str = "auto", devices: int = 1, num_nodes: int = 1
) -> Compute:
    """Choose CUDA if there is one, and bf16 if the machine has instructions for it.

    With more than one process, it starts the others; each runs the whole program up to this call.

    Args:
        device: auto | cpu | cuda.
        precision: auto | fp32 | bf16. A CPU without bf16 instructions emulates them some 20 times
            slower, so auto takes fp32 there.
        devices: processes on each node.
        num_nodes: machines; more than one are started by torchrun or SLURM.
    Raises:
        TrainingError: CUDA is requested and missing, or there are too few devices.
    """
    available = torch.cuda.device_count()
    if device == "cuda" and not available:
        raise TrainingError("train.device is cuda, but torch sees no CUDA device; use auto or cpu")
    kind = "cuda" if device != "cpu" and available else "cpu"
    if kind == "cuda" and devices > available:
        raise TrainingError(f"train.devices is {devices}, but torch sees {available} CUDA devices")
    _keep_freed_memory()
    torch.set_flush_denormal(True)  # denormal numbers are slow on a CPU, and negligible
    fabric = None
    chosen = torch.device(kind)
    if devices * num_nodes > 1:
        fabric = Fabric(accelerator=kind, devices=devices, num_nodes=num_nodes, strategy="ddp")
        fabric.launch()
        chosen = fabric.device
    bf16 = _is_fast_at_bf16(chosen) if precision == "auto" else precision == "bf16"
    return Compute(device=chosen, bf16=bf16, fabric=fabric)


def _keep_freed_memory() -> None:
    """Let glibc keep the memory that a step frees, since the next step needs it again.

    Otherwise each page is returned and zeroed again: 7 % of the processor time of "r3" at 64 px.
    But resident memory then stays at its peak.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):  # musl has none
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(M_MMAP_THRESHOLD, 2**25)  # the largest that glibc promises to take


def _is_fast_at_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
