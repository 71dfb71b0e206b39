"""Number and size of workers for the machines of a cluster, and clusters that cannot be joined; starts no Ray."""

from __future__ import annotations

import signal
import socket
import sys
import time
from typing import Any

import pytest

from nnunet_cardiac.cli import main
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.inference import ray_cluster
from nnunet_cardiac.inference.ray_cluster import Placement, cluster, place

LAPTOP = {"CPU": 4.0, "memory": 8e9}
SERVER = {"CPU": 16.0}
GPU_SERVER = {"CPU": 32.0, "GPU": 4.0}
HEAD = {"memory": 8e9}  # started with --num-cpus 0


@pytest.mark.parametrize(
    ("nodes", "wishes", "expected"),
    [
        ([LAPTOP], {}, Placement("cpu", 1, 4, 0)),
        ([HEAD, SERVER, SERVER], {}, Placement("cpu", 2, 16, 0)),
        ([LAPTOP, SERVER], {}, Placement("cpu", 5, 4, 0)),
        ([SERVER], {"threads": 3}, Placement("cpu", 5, 3, 0)),
        ([SERVER], {"workers": 4}, Placement("cpu", 4, 4, 0)),
        ([SERVER], {"workers": 5}, Placement("cpu", 5, 3, 0)),
        ([SERVER], {"workers": 2, "threads": 4}, Placement("cpu", 2, 4, 0)),
        ([LAPTOP, GPU_SERVER], {}, Placement("cuda", 4, 8, 1)),
        ([GPU_SERVER], {"workers": 2}, Placement("cuda", 2, 8, 1)),
        ([GPU_SERVER], {"threads": 16}, Placement("cuda", 2, 16, 1)),
        ([GPU_SERVER], {"device": "cpu"}, Placement("cpu", 1, 32, 0)),
        ([{"CPU": 2.0, "GPU": 4.0}], {}, Placement("cuda", 2, 1, 1)),
    ],
)
def test_workers(nodes: list[dict[str, float]], wishes: dict[str, Any], expected: Placement) -> None:
    assert place(nodes, **{"device": "auto", "threads": None, "workers": None, **wishes}) == expected


@pytest.mark.parametrize(
    ("nodes", "device", "threads", "message"),
    [
        ([LAPTOP], "cuda", None, r"No machine .* has 1 processor cores and a GPU for a worker; found: 4 cores, 0 GPUs"),
        ([LAPTOP], "cpu", 8, r"No machine .* has 8 processor cores for a worker; found: 4 cores, 0 GPUs\. Choose"),
        ([], "auto", None, "found: no machine"),
        ([GPU_SERVER], "cuda:1", None, "-device is cuda:1, expected auto, cpu or cuda"),
        ([LAPTOP], "mps", None, "-device is mps"),
    ],
)
def test_no_room(nodes: list[dict[str, float]], device: str, threads: int | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        place(nodes, device, threads, None)


def test_more_workers_than_room(caplog: pytest.LogCaptureFixture) -> None:
    assert place([LAPTOP], "cpu", 2, 3).workers == 2
    assert caplog.messages == ["3 workers were asked for, and the cluster has room for 2."]


def test_without_ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: Any) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    words = ["predict", "-i", str(tmp_path), "-o", str(tmp_path / "out"), "-m", str(tmp_path)]
    assert main([*words, "--ray", "auto"]) == 2
    assert "Install it: pip install 'nnunet_cardiac[ray]'" in capsys.readouterr().err
    assert main([*words, "--ray-actors", "2"]) == 2
    assert "--ray-actors needs --ray auto" in capsys.readouterr().err
    assert main([*words, "--ray", "auto", "--ray-actors", "0"]) == 2
    assert "--ray-actors is 0, expected 1 or more" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_addresses_that_cannot_be_joined() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and nobody listens
        start = time.monotonic()
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(UserError, match=rf"--ray {address}: cannot be joined .*Expected auto, or HOST:PORT"):
            cluster(address).__enter__()
        assert time.monotonic() - start < 20  # Ray itself tries for minutes
    with pytest.raises(UserError, match="--ray somewhere: cannot be joined"):
        cluster("somewhere").__enter__()


def test_the_handler_of_signals_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray installs one that exits, and workers that are forked later would inherit it and not end when told to."""

    class Ray:
        is_initialized = staticmethod(lambda: False)
        init = staticmethod(lambda **_: signal.signal(signal.SIGTERM, lambda *_: sys.exit(15)))
        shutdown = staticmethod(lambda: None)

    monkeypatch.setattr(ray_cluster, "import_ray", lambda address: Ray)
    before = signal.getsignal(signal.SIGTERM)
    with ray_cluster.cluster("local", cores=1):
        assert signal.getsignal(signal.SIGTERM) is before
