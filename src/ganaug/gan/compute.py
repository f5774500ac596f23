"""Where and in which precision to train: the one place that knows CUDA from CPU."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from ganaug.errors import TrainingError


@dataclass(frozen=True)
class Compute:
    """A device and the precision of its convolutions."""

    device: torch.device
    bf16: bool

    def autocast(self) -> AbstractContextManager[object]:
        """Run convolutions in bf16 where that pays; else change nothing."""
        if not self.bf16:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def describe(self) -> str:
        """For people: 'cpu, 2 threads, fp32'."""
        precision = "bf16" if self.bf16 else "fp32"
        if self.device.type == "cuda":
            return f"{torch.cuda.get_device_name(self.device)}, {precision}"
        return f"cpu, {torch.get_num_threads()} threads, {precision}"


def choose_compute(*, device: str = "auto", precision: str = "auto") -> Compute:
    """Take CUDA when there is one, and bf16 where the machine has instructions for it.

    Args:
        device: auto | cpu | cuda.
        precision: auto | fp32 | bf16. A CPU without bf16 instructions emulates them some 20 times
            slower, so auto takes fp32 there.
    Raises:
        TrainingError: CUDA is asked for and there is none.
    """
    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise TrainingError("train.device is cuda, but torch sees no CUDA device; use auto or cpu")
    chosen = torch.device("cuda" if device != "cpu" and has_cuda else "cpu")
    torch.set_flush_denormal(True)  # denormal numbers are slow on a CPU and worth nothing
    bf16 = _is_fast_at_bf16(chosen) if precision == "auto" else precision == "bf16"
    return Compute(device=chosen, bf16=bf16)


def _is_fast_at_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
