"""Every trainer in two real processes: a short training, its checkpoint, its validation and what is added to that.

The file starts itself as the worker: pytest's modules cannot be imported. nnU-Net puts a distributed trainer on a GPU,
which `on_the_cpu` undoes. Both processes train one configuration after the other, so that torch is loaded once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import multiprocessing.pool
import os
import socket
import subprocess
import sys
import time
import types
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from torch import nn

WORLD = 2
JOBS = [
    ("CroCNetTrainer_1epochs", "2d"),
    ("CroCNetTrainer_1epochs", "2d_crop"),
    ("HALSRNetTrainer_1epochs", "2d_roi"),
    ("HALSRNetTrainer_1epochs", "2d_crop"),
    ("ClassifierGuidedTrainer_1epochs", "2d_stack"),
    ("DRUNetTrainer_1epochs", "3d_fullres"),
    ("DRUNetTrainer_1epochs", "3d_locate"),
    ("DRUNetTrainer_1epochs", "3d_crop"),
    ("DRUNetEndToEndTrainer_1epochs", "3d_joint"),
]

#: What the trainers add to nnU-Net's summary of the validation.
ADDED = {
    "2d_roi": {"roi_stack", "roi_slice"},
    "2d_stack": {"presence"},
}


# ------------------------------------------------------------------------------------------------------------ a process


def on_the_cpu() -> None:
    """Let nnU-Net's distributed training run on the CPU, and its export in threads, which start at once."""
    from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as stock

    torch.set_num_threads(1)
    stock.DDP = lambda network, device_ids=None: nn.parallel.DistributedDataParallel(network)
    nn.SyncBatchNorm.convert_sync_batchnorm = lambda network: network  # refuses the CPU
    threads = types.SimpleNamespace(Pool=multiprocessing.pool.ThreadPool)
    multiprocessing.get_context = lambda method=None: threads


def make(name: str, configuration: str):
    """Trainer of fold 0, on the CPU."""
    from nnunet_cardiac.trainers import variants

    folder = next(Path(os.environ["nnUNet_preprocessed"]).glob("Dataset*"))
    plans = json.loads((folder / "nnUNetPlans.json").read_text()) | {"continue_training": False}
    dataset = json.loads((folder / "dataset.json").read_text())
    trainer = getattr(variants, name)(plans, configuration, 0, dataset, torch.device("cpu"))
    trainer.device, trainer.grad_scaler = torch.device("cpu"), None
    return trainer


def digest(network: nn.Module) -> str:
    """Hash of all parameters, to the last bit."""
    return hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in network.parameters())).hexdigest()


def train(name: str, configuration: str) -> dict[str, object]:
    """Train and validate; what this process did."""
    trainer = make(name, configuration)
    trainer.initialize()
    first, step, drawn = digest(trainer._bare_network), trainer.train_step, []

    def counted(batch: dict) -> dict:
        drawn.append([str(key) for key in batch["keys"]])
        return step(batch)

    trainer.train_step = counted
    trainer.run_training()
    weights = digest(trainer._bare_network)
    trainer.perform_actual_validation()
    fresh = trainer.build_network_architecture(
        trainer.plans_manager,
        trainer.configuration_manager,
        trainer.num_input_channels,
        trainer.label_manager.num_segmentation_heads,
        False,
    )
    checkpoint = torch.load(f"{trainer.output_folder}/checkpoint_final.pth", weights_only=False)
    fresh.load_state_dict(checkpoint["network_weights"])
    return {"first": first, "weights": weights, "saved": digest(fresh), "epochs": trainer.current_epoch, "drawn": drawn}


def validate_alone() -> dict[str, object]:
    """Validate what was trained, as `--val` does, a single case: the other process has none."""
    trainer = make(*JOBS[0])
    trainer.initialize()
    trainer.load_checkpoint(f"{trainer.output_folder}/checkpoint_final.pth")
    training, cases = trainer.do_split()
    trainer.do_split = lambda: (training, cases[:1])
    trainer.perform_actual_validation()
    return {}


def worker(rank: int, port: int, results: Path) -> None:
    """Do all jobs and write down what came of each."""
    on_the_cpu()
    address, patience = f"tcp://127.0.0.1:{port}", timedelta(minutes=15)
    torch.distributed.init_process_group("gloo", address, rank=rank, world_size=WORLD, timeout=patience)
    for name, configuration in JOBS:
        done = train(name, configuration)
        (results / f"{name}__{configuration}__{rank}.json").write_text(json.dumps(done))
    validate_alone()
    torch.distributed.destroy_process_group()


# --------------------------------------------------------------------------------------------------------------- tests

SHORT = {"iterations": 2, "val_iterations": 1, "batch_size": 2, "initial_lr": 1e-3, "test_time_mirroring": False}


def make_narrow(space) -> None:
    """Narrow networks and few steps for every configuration of every trainer."""
    path = space.preprocessed / "nnUNetPlans.json"
    space.narrow(path)
    plans = json.loads(path.read_text())
    configurations = plans["configurations"]
    configurations["2d_roi"]["recipe"]["iterations"] = 20
    narrow = {
        "2d_stack": {"features": [4, 8, 8], "heads": 2, "layers": 1, "hidden": 8},
        "3d_locate": {"filters": 2},
        "3d_crop": {"filters": 2},
        "3d_joint": {"coarse_filters": 2, "filters": 2},
    }
    for name, kwargs in narrow.items():
        arguments = configurations[name]["architecture"]["arch_kwargs"]
        arguments.get("network_kwargs", arguments).update(kwargs)
        configurations[name]["recipe"] = SHORT
    path_of = "nnunet_cardiac.architectures.dilated_residual_unet.DilatedResidualUNet"
    network = {"network_class_name": path_of, "arch_kwargs": {"filters": 2}, "_kw_requires_import": []}
    own = {**configurations["3d_fullres"], "architecture": network, "recipe": SHORT}
    configurations["3d_fullres"]["trainers"] = {"DRUNetTrainer": own}
    path.write_text(json.dumps(plans))


def run_together(environ: dict[str, str], results: Path) -> None:
    """Start the processes and wait for both; if one dies, the other would wait for it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    logs = [results / f"log{rank}.txt" for rank in range(WORLD)]
    processes = []
    for rank, log in enumerate(logs):
        with log.open("w") as file:
            words = [sys.executable, __file__, str(rank), str(port), str(results)]
            processes.append(subprocess.Popen(words, env=environ, stdout=file, stderr=subprocess.STDOUT))
    try:
        while any(process.poll() is None for process in processes):
            assert not any(process.poll() for process in processes), "\n".join(log.read_text()[-3000:] for log in logs)
            time.sleep(0.2)
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * WORLD, logs[0].read_text()[-3000:]


@pytest.fixture(scope="module")
def trained(make_workspace, tmp_path_factory) -> tuple:
    """All configurations trained by two processes, and the folder of what each of these did."""
    from nnunet_cardiac.planning.options import CropOptions
    from nnunet_cardiac.planning.plan import plan_configurations

    space = make_workspace("sax", number=951, configurations=("2d", "3d_fullres"))
    for trainer in ("CroCNetTrainer", "HALSRNetTrainer"):
        plan_configurations(
            space.preprocessed, trainer=trainer, options=CropOptions(coarse_labels="simulated"), progress=False
        )
    for trainer in ("ClassifierGuidedTrainer", "DRUNetTrainer", "DRUNetEndToEndTrainer"):
        plan_configurations(space.preprocessed, trainer=trainer, progress=False)
    make_narrow(space)
    space.run("nnUNetv2_preprocess", "-d", space.number, "-c", "2d_stack", "3d_locate", "-np", 1, 1)
    results = tmp_path_factory.mktemp("processes")
    run_together({**space.environ, "CUDA_VISIBLE_DEVICES": "", "nnUNet_def_n_proc": "1"}, results)
    return space, results


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(("name", "configuration"), JOBS)
def test_two_processes_train_one_network(trained, name: str, configuration: str) -> None:
    _, results = trained
    one, other = (json.loads((results / f"{name}__{configuration}__{rank}.json").read_text()) for rank in range(WORLD))
    assert one["first"] == other["first"]
    assert one["weights"] == other["weights"] != one["first"]
    assert one["saved"] == one["weights"]
    assert one["epochs"] == other["epochs"] == 1
    assert len(one["drawn"]) == len(other["drawn"])
    if len(one["drawn"]) > 5:  # of two samples each, both may be the same
        assert one["drawn"] != other["drawn"]


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(("name", "configuration"), JOBS)
def test_every_case_is_validated_and_reported(trained, name: str, configuration: str) -> None:
    space, _ = trained
    folder = space.model(configuration, name)
    cases = set(json.loads((space.preprocessed / "splits_final.json").read_text())[0]["val"])
    validation = folder / "fold_0" / "validation"
    assert {path.name.removesuffix(".nii.gz") for path in validation.glob("*.nii.gz")} == cases
    summary = json.loads((validation / "summary.json").read_text())
    assert ADDED.get(configuration, set()) <= set(summary)
    if configuration in ("2d_roi", "3d_locate"):
        following = {"2d_roi": "2d_crop", "3d_locate": "3d_crop"}[configuration]
        assert {path.stem for path in (folder / "predicted_next_stage" / following).glob("*.b2nd")} == cases
    log = next((folder / "fold_0").glob("training_log*.txt")).read_text()
    assert "Traceback" not in log
    if name.startswith(("HALSR", "DRUNet")):
        assert "The final weights are the best ones, of epoch 0." in log


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        worker(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
