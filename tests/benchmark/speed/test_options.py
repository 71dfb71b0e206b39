"""Which networks are measured."""

import pytest

from nnunet_cardiac.benchmark.speed import options
from nnunet_cardiac.benchmark.speed.options import REFERENCE, MeasuredNetwork, choose
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.systems import TRAINERS, TrainerFacts
from nnunet_cardiac.systems.kinds import BoxRegressor, Planned, SliceCrop
from nnunet_cardiac.systems.recipe import Recipe


@pytest.fixture
def two_trainers(monkeypatch):
    whole = Planned(name="2d", purpose="whole slices", network="a.Net")
    crop = SliceCrop(name="2d_crop", purpose="windows", localiser="2d", margin=5)
    regressor = BoxRegressor(name="2d_roi", purpose="boxes", network="a.Roi")

    def facts(name, *configurations):
        return TrainerFacts(name=name, module="a", network="a.Net", recipe=Recipe(), configurations=configurations)

    registry = {"First": facts("First", whole, crop), "Second": facts("Second", whole, regressor)}
    monkeypatch.setattr(options, "TRAINERS", registry)


def test_everything_for_slices_by_default():
    pairs = [(name, entry) for name, facts in TRAINERS.items() for entry in facts.purposes]
    assert choose(None, None) == [pair for pair in pairs if pair[1].startswith("2d") and "stack" not in pair[1]]
    with pytest.raises(UserError, match="unknown trainer 'DRUNetTrainer'"):
        choose(["DRUNetTrainer"], None)


@pytest.mark.parametrize(
    ("trainers", "configurations", "expected"),
    [
        (["Second"], None, [("Second", "2d"), ("Second", "2d_roi")]),
        (["Second", "First"], ["2d"], [("First", "2d"), ("Second", "2d")]),
        (None, ["2d_roi"], [("Second", "2d_roi")]),
        (["First", "First"], ["2d_crop", "2d_crop"], [("First", "2d_crop")]),
    ],
)
def test_choice(two_trainers, trainers, configurations, expected):
    assert choose(trainers, configurations) == expected


@pytest.mark.parametrize(
    ("trainers", "configurations", "message"),
    [
        (["Third"], None, "unknown trainer 'Third'; choose from First, Second."),
        (None, ["3d", "2d"], "unknown configuration '3d'; choose from 2d, 2d_crop, 2d_roi."),
        (["First"], ["2d_roi"], "unknown configuration '2d_roi'; choose from 2d, 2d_crop."),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(two_trainers, trainers, configurations, message):
    with pytest.raises(UserError, match=message):
        choose(trainers, configurations)


def test_reference_has_the_same_input():
    subject = MeasuredNetwork("First", "2d_crop", 4, (48, 32))
    assert subject.reference == MeasuredNetwork(REFERENCE, "2d", 4, (48, 32))
    assert subject.reference.reference == subject.reference
