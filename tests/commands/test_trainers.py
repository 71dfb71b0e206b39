"""`nnunet_cardiac trainers`: shows what the registry holds."""

import json

from nnunet_cardiac import cli
from nnunet_cardiac.commands import trainers
from nnunet_cardiac.commands.trainers import describe
from nnunet_cardiac.systems import TRAINERS, System, TrainerFacts, system_of
from nnunet_cardiac.systems.kinds import Planned, SliceCrop
from nnunet_cardiac.systems.recipe import Recipe


def test_json_holds_every_fact(capsys):
    assert cli.main(["trainers", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert list(listed) == list(TRAINERS)
    for name, facts in TRAINERS.items():
        assert listed[name]["paper"] == system_of(name).paper
        assert listed[name]["configurations"] == facts.purposes
        assert listed[name]["parameters"] == dict(facts.parameters)


def test_text_names_every_trainer_and_configuration(capsys):
    assert cli.main(["trainers"]) == 0
    out = capsys.readouterr().out
    for name, facts in TRAINERS.items():
        assert f"{name}  ({system_of(name).title})" in out
        for configuration in facts.purposes:
            assert f"\n    {configuration} " in out


def test_description_is_aligned(monkeypatch):
    facts = TrainerFacts(
        name="XTrainer",
        module="x",
        network="x.Net",
        recipe=Recipe(),
        anatomies=("LV", "RV"),
        configurations=(
            Planned(name="2d", purpose="whole", network="x.Net"),
            SliceCrop(name="2d_crop", purpose="window", localiser="2d", margin=1),
        ),
        parameters={"Net": 5.0},
    )
    monkeypatch.setattr(
        trainers, "system_of", lambda _: System(key="x", title="X", paper="A, B 2024", trainers=(facts,))
    )
    assert describe(facts).splitlines() == [
        "XTrainer  (X)",
        "  paper        A, B 2024",
        "  anatomies    LV, RV",
        "  parameters   Net 5 M",
        "  configurations",
        "    2d       whole",
        "    2d_crop  window",
    ]
