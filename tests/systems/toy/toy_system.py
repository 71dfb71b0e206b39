"""A fifth system, as another package or a single file would bring it."""

from nnunet_cardiac.systems.facts import System, TrainerFacts
from nnunet_cardiac.systems.kinds import Network, Planned, SliceCrop
from nnunet_cardiac.systems.recipe import Recipe
from nnunet_cardiac.systems.rows import Row, RowStage

NET = "toy_networks.ToyNet"
SHORT = {"batch_size": 2, "iterations": 2, "val_iterations": 1}

SYSTEM = System(
    key="toy",
    title="Toy",
    paper="Nobody, A toy, 2026",
    trainers=(
        TrainerFacts(
            name="ToyTrainer",
            module="toy_trainer",
            anatomies=("LV",),
            network=NET,
            recipe=Recipe(initial_lr=1e-3, epochs=1, batch_size=2, iterations=2, val_iterations=1, loss="dice_ce"),
            configurations=(
                Planned(
                    name="2d", purpose="toy on slices", network=NET, narrow=Network(NET, {"width": 4}), short=SHORT
                ),
                SliceCrop(
                    name="2d_crop",
                    purpose="toy in the window",
                    localiser="2d",
                    margin=5,
                    narrow=Network(NET, {"width": 4}),
                    short=SHORT,
                ),
            ),
            parameters={"ToyNet": 0.001},
        ),
    ),
    rows={"toy": Row("Toy", "ToyTrainer", (RowStage("2d"), RowStage("2d_crop")))},
)
