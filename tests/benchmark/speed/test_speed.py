"""The order of a measurement, its settings and its errors, with networks that only take notes."""

import pytest
import torch

from nnunet_cardiac.benchmark.speed import speed
from nnunet_cardiac.benchmark.speed.options import MeasuredNetwork, SpeedOptions
from nnunet_cardiac.errors import UserError

SUBJECTS = [MeasuredNetwork("nnU-Net", "2d", 1, (8, 8)), MeasuredNetwork("Ours", "2d", 1, (8, 8))]
OPTIONS = SpeedOptions(rounds=3, batch=2, memory=False, threads=1)


@pytest.fixture
def notes(monkeypatch):
    """Workloads that write down what is done with them; a forward pass takes 1 s, a step 10 s, of a clock of ours."""
    found, clock = [], [0.0]

    class Notes:
        parameters = 7

        def __init__(self, subject, options):
            self.name = subject.trainer

        def forward(self):
            self._note("forward", 1.0)

        def train_step(self):
            self._note("step", 10.0)

        def _note(self, what, seconds):
            found.append((self.name, what, torch.get_num_threads(), torch.backends.cudnn.benchmark))
            clock[0] += seconds

        def count(self):
            return 40, 120

        def compile(self):
            found.append((self.name, "compile"))

        def wait(self):
            pass

    monkeypatch.setattr(speed, "Workload", Notes)
    monkeypatch.setattr(speed.time, "perf_counter", lambda: clock[0])
    return found


def test_all_take_turns_in_every_round(notes):
    first, second = speed.measure_speed(SUBJECTS, OPTIONS, progress=False)
    one_round = [(name, what) for name in ("nnU-Net", "Ours") for what in ("forward", "step")]
    assert [note[:2] for note in notes] == one_round * (2 + 3)
    assert (first.subject, second.subject) == tuple(SUBJECTS)
    assert first.forward_s == (1.0,) * 3
    assert second.step_s == (10.0,) * 3
    assert (first.forward_flop, first.step_multiply_adds, first.parameters) == (20, 30, 7)
    assert first.peak_bytes is None


def test_settings_hold_for_the_measurement_only(notes):
    threads, tries = torch.get_num_threads(), torch.backends.cudnn.benchmark
    speed.measure_speed(SUBJECTS, SpeedOptions(threads=threads + 1, memory=False), progress=False)
    assert {note[2:] for note in notes} == {(threads + 1, True)}
    assert (torch.get_num_threads(), torch.backends.cudnn.benchmark) == (threads, tries)


def test_networks_are_compiled_before_they_are_timed(notes):
    speed.measure_speed(SUBJECTS, SpeedOptions(compile=True, memory=False), progress=False)
    assert [note[:2] for note in notes[:3]] == [("nnU-Net", "compile"), ("Ours", "compile"), ("nnU-Net", "forward")]


def test_memory_is_measured_where_it_can_be(notes, monkeypatch):
    calls = []
    monkeypatch.setattr(speed, "can_measure", lambda: True)
    monkeypatch.setattr(speed, "growth_in_own_process", lambda *args, warm_up: calls.append(args) or 5)
    options = SpeedOptions(memory=True)
    assert [m.peak_bytes for m in speed.measure_speed(SUBJECTS, options, progress=False)] == [5, 5]
    assert [args[1:] for args in calls] == [(subject, options) for subject in SUBJECTS]
    compiled = SpeedOptions(memory=True, compile=True)
    assert [m.peak_bytes for m in speed.measure_speed(SUBJECTS, compiled, progress=False)] == [None, None]
    monkeypatch.setattr(speed, "can_measure", lambda: False)
    assert [m.peak_bytes for m in speed.measure_speed(SUBJECTS, options, progress=False)] == [None, None]


def test_input_that_a_network_does_not_take_is_explained(notes, monkeypatch):
    def refuse(self):
        raise ValueError("expected sides that are multiples of 16")

    monkeypatch.setattr(speed.Workload, "count", refuse)
    with pytest.raises(UserError, match="nnU-Net 2d does not take a batch of 2 images of 8 x 8 pixels: expected sides"):
        speed.measure_speed(SUBJECTS, OPTIONS, progress=False)


def test_too_little_memory_is_explained(notes, monkeypatch):
    def run_out(self):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(speed.Workload, "count", run_out)
    with pytest.raises(UserError, match=r"too little memory for a batch of 2 .*; lower --batch"):
        speed.measure_speed(SUBJECTS, OPTIONS, progress=False)


@pytest.mark.parametrize(
    ("device", "precision", "message"),
    [
        ("cuda", "float32", "-device cuda: torch finds none on this machine; it finds cpu"),
        ("cpu", "fp16", "--precision fp16: processors train in float32 or bf16"),
    ],
)
def test_device_that_cannot_is_refused(notes, monkeypatch, device, precision, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match=message):
        speed.measure_speed(SUBJECTS, SpeedOptions(device=device, precision=precision), progress=False)
    assert notes == []
