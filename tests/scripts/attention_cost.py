"""Time and memory of additive attention beside scaled dot-product attention. Run by hand on an idle machine.

python tests/scripts/attention_cost.py --threads 2

Both get the same projections in and out: dot-product attention runs with one head on query, key and value. The memory
is what the forward pass keeps for the backward pass, input and parameters excluded.
"""

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_cardiac.architectures.blocks.additive_attention import EfficientAdditiveAttention


class DotProductAttention(nn.Module):
    """Single-head self-attention by torch's fused kernel, `(B, N, C)` to `(B, N, C)`."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = self.project(x)[:, None].chunk(3, dim=-1)
        return self.out(F.scaled_dot_product_attention(query, key, value)[:, 0])


def fastest(function: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of `repeats` calls, after one to warm up."""
    function()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def saved_bytes(module: nn.Module, x: torch.Tensor) -> int:
    """Bytes of the tensors kept for the backward pass."""
    own = {p.untyped_storage().data_ptr() for p in module.parameters()} | {x.untyped_storage().data_ptr()}
    storages: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = module(x)  # keeps the graph alive, so that no address is used twice
    del output
    return sum(storages.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--tokens", type=int, nargs="+", default=[1024, 4096, 16384, 65536])
    parser.add_argument("--largest-dot-product", type=int, default=16384, help="tokens above which SDPA is left out")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    additive, dot = EfficientAdditiveAttention(args.channels), DotProductAttention(args.channels)
    columns = ("tokens", "E-2A ms", "train ms", "saved MiB", "SDPA ms", "train ms", "E-2A faster", "in training")
    print(" ".join(f"{name:>11}" for name in columns))
    for tokens in args.tokens:
        x = torch.randn(1, tokens, args.channels, requires_grad=True)
        row = [float(tokens)]
        for module, repeats in ((additive, 10), (dot, 2)):
            if module is dot and tokens > args.largest_dot_product:
                break
            with torch.inference_mode():
                row.append(1e3 * fastest(lambda m=module, x=x: m(x), repeats))
            row.append(1e3 * fastest(lambda m=module, x=x: m(x).sum().backward(), repeats))
            if module is additive:
                row.append(saved_bytes(additive, x) / 2**20)
        if len(row) == 6:
            row += [row[4] / row[1], row[5] / row[2]]
        print(" ".join(f"{value:11.0f}" if i == 0 else f"{value:11.2f}" for i, value in enumerate(row)))


if __name__ == "__main__":
    main()
