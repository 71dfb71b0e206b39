"""`nnunet_cardiac trainers`: shows what the registry holds."""

import json

from nnunet_cardiac import cli
from nnunet_cardiac.anatomy import TRAINERS, TrainerFacts
from nnunet_cardiac.commands.trainers import describe


def test_json_holds_every_fact(capsys):
    assert cli.main(["trainers", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert list(listed) == list(TRAINERS)
    for name, facts in TRAINERS.items():
        assert listed[name]["paper"] == facts.paper
        assert listed[name]["configurations"] == dict(facts.configurations)
        assert listed[name]["parameters"] == dict(facts.parameters)


def test_text_names_every_trainer_and_configuration(capsys):
    assert cli.main(["trainers"]) == 0
    out = capsys.readouterr().out
    for name, facts in TRAINERS.items():
        assert f"{name}  ({facts.system})" in out
        for configuration in facts.configurations:
            assert f"\n    {configuration} " in out


def test_description_is_aligned():
    facts = TrainerFacts("XTrainer", "X", "A, B 2024", ("LV", "RV"), {"2d": "whole", "2d_crop": "window"}, {"Net": 5.0})
    assert describe(facts).splitlines() == [
        "XTrainer  (X)",
        "  paper        A, B 2024",
        "  anatomies    LV, RV",
        "  parameters   Net 5 M",
        "  configurations",
        "    2d       whole",
        "    2d_crop  window",
    ]
