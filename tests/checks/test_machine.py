"""Requirements, folders, devices and threads, on machines made up for the test."""

import importlib
import os
import sys
from importlib import metadata

import pytest

from nnunet_cardiac.checks import devices, folders, requirements, threads
from nnunet_cardiac.checks.finding import Status

GIB = 2**30


def versions(**changes):
    """Return a look-up of installed versions with some replaced; None means not installed."""

    def version_of(name):
        if name not in changes:
            return metadata.version(name)
        if changes[name] is None:
            raise metadata.PackageNotFoundError(name)
        return changes[name]

    return version_of


def bad(findings):
    return [str(finding) for finding in findings if finding.status is not Status.OK]


def test_this_environment_meets_its_requirements():
    findings = requirements.check_requirements()
    assert bad(findings) == []
    assert {"python", "nnunetv2", "torch", "SimpleITK"} <= {finding.check for finding in findings}
    assert not {"pytest", "ruff"} & {finding.check for finding in findings}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"nnunetv2": "2.9.0"},
            "FAIL  nnunetv2: 2.9.0; expected <2.9,>=2.8\n      -> pip install 'nnunetv2<2.9,>=2.8'",
        ),
        ({"nnunetv2": "2.7.1"}, "FAIL  nnunetv2: 2.7.1; expected <2.9,>=2.8"),
        ({"tqdm": None}, "FAIL  tqdm: not installed; expected >=4.66"),
        ({"torch": "2.9.1+cpu"}, "WARN  torch: 2.9.1+cpu is excluded by nnU-Net (!=2.9.*,>=2.1.2)"),
    ],
)
def test_wrong_versions(changes, expected):
    (line,) = bad(requirements.check_requirements(versions(**changes)))
    assert line.startswith(expected)


def test_wrong_python(monkeypatch):
    monkeypatch.setattr(requirements.platform, "python_version", lambda: "3.9.1")
    (line,) = bad(requirements.check_requirements())
    assert line.startswith("FAIL  python: 3.9.1; expected >=3.10")


def test_package_that_is_not_installed():
    (line,) = bad(requirements.check_requirements(package="no-such-distribution"))
    assert "runs from a source tree" in line


def test_folders(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (tmp_path / "file").touch()
    found = folders.check_folders({"nnUNet_raw": str(raw), "nnUNet_preprocessed": str(tmp_path / "file")})
    assert found[0].status in (Status.OK, Status.WARN)
    assert str(raw) in found[0].message
    assert bad(found[1:]) == [
        f"FAIL  nnUNet_preprocessed: {tmp_path / 'file'} is a file\n"
        f"      -> mkdir -p '{tmp_path / 'file'}', or correct nnUNet_preprocessed.",
        'FAIL  nnUNet_results: not set\n      -> eval "$(nnunet_cardiac env --base FOLDER)", or export it yourself.',
    ]


def test_nearly_full_disk(tmp_path, monkeypatch):
    usage = folders.shutil.disk_usage(tmp_path)._replace(free=2 * 10**9)
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda path: usage)
    found = folders.check_folders({name: str(tmp_path) for name in folders.NNUNET_FOLDERS})
    assert [finding.status for finding in found] == [Status.WARN] * 3
    assert "2.0 GB free" in found[0].message


@pytest.mark.parametrize(("missing", "words"), [(os.W_OK, "cannot be written"), (os.R_OK, "cannot be read")])
def test_permissions(tmp_path, monkeypatch, missing, words):
    """Simulated, because a test that runs as root may write everywhere."""
    monkeypatch.setattr(folders.os, "access", lambda path, mode: not mode & missing)
    found = folders.check_folders({name: str(tmp_path) for name in folders.NNUNET_FOLDERS})
    assert all(words in finding.message for finding in found)
    raw = Status.WARN if missing == os.W_OK else Status.FAIL
    assert [finding.status for finding in found] == [raw, Status.FAIL, Status.FAIL]


def test_data_set_findings(dataset):
    environ = {"nnUNet_raw": str(dataset.folder.parent)}
    good, storage = folders.check_dataset(environ, "27", ("LV",), progress=False)
    assert storage.status is Status.WARN  # the headers of this data set have no rotation
    assert "cannot be known how the images lie" in storage.message
    assert "How an image lies in its file" in storage.fix
    assert str(good) == "OK    dataset 27: Dataset027_Heart: 2 cases, 6-6 slices, labels RV 1, MYO 2, LV 3"
    dataset.add("long_axis", shape=(1, 40, 50))
    notes = folders.check_dataset(environ, "27", progress=False)
    assert [finding.status for finding in notes] == [Status.OK, Status.WARN, Status.WARN]
    (failed,) = folders.check_dataset(environ, "27", ("LA",), progress=False)
    assert failed.status is Status.FAIL
    assert "do not name LA" in failed.message
    (absent,) = folders.check_dataset(environ, "28", progress=False)
    assert "no data set 28" in absent.message


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"nnUNet_def_n_proc": "4"}, []),
        ({"nnUNet_def_n_proc": "4", "OMP_NUM_THREADS": "4"}, []),
        (
            {"nnUNet_def_n_proc": "4", "OMP_NUM_THREADS": "1"},
            ["WARN  OMP_NUM_THREADS: 1: networks compute on 1 of 4 cores"],
        ),
        (
            {"nnUNet_def_n_proc": "4", "OMP_NUM_THREADS": "x"},
            ["WARN  OMP_NUM_THREADS: 'x' is no positive whole number"],
        ),
        ({"nnUNet_def_n_proc": "1"}, ["WARN  nnUNet_def_n_proc: 1: nnU-Net also caps the threads of prediction"]),
        ({"nnUNet_def_n_proc": "0"}, ["WARN  nnUNet_def_n_proc: '0' is no positive whole number"]),
        ({}, ["WARN  nnUNet_def_n_proc: 8 (nnU-Net's default): more worker processes than the 4 cores"]),
    ],
)
def test_threads(environ, expected, tmp_path):
    lines = bad(threads.check_threads(environ, cores=4, shared=tmp_path / "none"))
    assert len(lines) == len(expected)
    assert all(line.startswith(start) for line, start in zip(lines, expected, strict=True))


@pytest.mark.parametrize(("free", "status"), [(GIB // 16, Status.WARN), (2 * GIB, Status.OK)])
def test_shared_memory(tmp_path, monkeypatch, free, status):
    usage = threads.shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr(threads.shutil, "disk_usage", lambda path: usage)
    finding = threads.check_threads({}, cores=8, shared=tmp_path)[-1]
    assert (finding.check, finding.status) == ("shared memory", status)


def test_default_of_nnunet_is_the_one_we_state(monkeypatch):
    import nnunetv2.configuration

    monkeypatch.delenv("nnUNet_def_n_proc", raising=False)
    assert importlib.reload(nnunetv2.configuration).default_num_processes == threads._DEFAULT_PROCESSES


def test_cpu_is_described():
    found = {finding.check: finding for finding in devices.check_devices()}
    assert found["device cpu"].status is Status.OK
    assert "times as fast as float32 (measured)" in found["device cpu"].message
    assert any(name.startswith(("device cuda", "device mps")) for name in found)


def test_torchvision_of_another_torch(monkeypatch, tmp_path):
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    (line,) = bad(devices.check_devices())
    assert line.startswith("FAIL  torchvision: built for another torch")
    assert "torchvision::nms" in line
    assert line.endswith("Install torch and torchvision together, from the same source.")


def test_missing_torchvision(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    (line,) = bad(devices.check_devices())
    assert line.startswith("FAIL  torchvision: not installed")


def test_broken_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (line,) = bad(devices.check_devices())
    assert line.startswith("FAIL  torch: cannot be imported")
