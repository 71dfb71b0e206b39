"""Distributed training in two processes. The file starts itself as the worker: pytest's modules cannot be imported."""

import socket
import subprocess
import sys

import pytest
import torch
from torch import nn

from nnunet_cardiac.architectures import E2AUNet, SpecialistNetworks


def worker(rank: int, port: int, name: str) -> None:
    """Two steps; the second forward fails if a parameter was left without gradient in the first."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.manual_seed(0)
    e2a = name == "e2a"
    network = E2AUNet(1, 4, features=(4, 6, 8)) if e2a else SpecialistNetworks(4, 4, mode=name, base_width=4)
    network = nn.parallel.DistributedDataParallel(network)
    torch.manual_seed(rank)
    for _ in range(2):
        network(torch.randn(2, network.module.input_channels, 32, 32)).square().mean().backward()
    norm = torch.stack([p.grad.norm() for p in network.parameters()])
    norms = [torch.empty_like(norm) for _ in range(2)]
    torch.distributed.all_gather(norms, norm)
    torch.testing.assert_close(*norms)
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["e2a", "coupled", "single"])
def test_two_processes_agree_on_every_gradient(name):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    workers = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(port), name], stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=120)[1] for process in workers]
    assert [process.returncode for process in workers] == [0, 0], "\n".join(errors)


if __name__ == "__main__":
    worker(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
