"""What is written down of a published system and its trainers."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.systems.kinds import Configuration
from nnunet_cardiac.systems.recipe import Recipe
from nnunet_cardiac.systems.rows import Row
from nnunet_cardiac.systems.shown import Shown

Kind = TypeVar("Kind", bound=Configuration)


@dataclass(frozen=True, kw_only=True)
class AsInPaper:
    """What `plan --paper` does, and what it says of that.

    Attributes:
        recipe: Of the paper, as far as it states one.
        options: Options of `plan` that a user need not give.
        patch: Patch of nnU-Net's own configuration; None keeps nnU-Net's.
        clahe: Whether the networks equalise the contrast of each slice.
        filters: Channels of the first level on stacks and on other volumes; empty where there is no choice.
        stated: What the plans have from the paper, or from the authors' code where that is said.
        ours: What the plans need and the paper does not print.
        elsewhere: What the paper states and plans cannot express, with what happens instead.
        anatomies: Structures that the authors segment; None means any.
    """

    recipe: Recipe
    options: Mapping[str, Any] = field(default_factory=dict)
    patch: tuple[int, ...] | None = None
    clahe: bool = False
    filters: tuple[int, ...] = ()
    stated: tuple[str, ...] = ()
    ours: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    anatomies: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class TrainerFacts:
    """A trainer of a system: what a user has to know of it, and what its plans look like.

    Attributes:
        name: Class name, the value of `-tr`.
        module: Dotted path of the module with the class.
        configurations: In the order of training.
        network: Dotted path of the network on whole images where the plans name none.
        recipe: How its networks are trained.
        paper: What `plan --paper` does; None if it does nothing for this trainer.
        anatomies: Structures that `dataset.json` must name.
        optional: Structures that the system makes use of where `dataset.json` names them.
        parameters: Network -> trainable parameters in millions at the default size.
        base: Configuration of nnU-Net's from which the others derive, `2d` or `3d_fullres`.
        boxed: Anatomies whose box its localiser finds, those of them that a data set names; None means all.
        coarse_labels: `predicted` or `simulated`: what training windows follow where the user does not say.
        short_slices: Slices in a row in a sample of a short training; None takes whole stacks. Volumes whose slices
            are pooled are never cut.
    """

    name: str
    module: str
    configurations: tuple[Configuration, ...]
    network: str
    recipe: Recipe
    paper: AsInPaper | None = None
    anatomies: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    parameters: Mapping[str, float] = field(default_factory=dict)
    base: str = "2d"
    boxed: tuple[str, ...] | None = None
    coarse_labels: str = "predicted"
    short_slices: int | None = None

    @property
    def is_for_volumes(self) -> bool:
        """Whether its networks are three-dimensional."""
        return self.base == "3d_fullres"

    def find(self, name: str) -> Configuration | None:
        """Return a configuration by its name, or None."""
        return next((one for one in self.configurations if one.name == name), None)

    def of_kind(self, kind: type[Kind]) -> list[Kind]:
        """Return the configurations of a kind, in order."""
        return [one for one in self.configurations if isinstance(one, kind)]

    @property
    def purposes(self) -> dict[str, str]:
        """Configuration -> one line on what it trains."""
        return {one.name: one.purpose for one in self.configurations}

    @property
    def network_paths(self) -> set[str]:
        """Dotted paths of all networks that are named."""
        named = {self.network}
        for one in self.configurations:
            for network in (one.narrow, getattr(one, "network", None)):
                named |= set() if network is None else {network if isinstance(network, str) else network.path}
        return named

    def load(self) -> Any:
        """Import the class.

        Raises:
            UserError: If it cannot be found.
        """
        try:
            return getattr(importlib.import_module(self.module), self.name)
        except (ImportError, AttributeError) as error:
            raise UserError(
                f"Trainer {self.name}: {self.module} has no such class or cannot be imported ({error}). Correct "
                "`module` in the file of the system, or install the package that brings it."
            ) from error


@dataclass(frozen=True, kw_only=True)
class System:
    """A published system.

    Attributes:
        key: Short name, for `quickstart --system`.
        title: Name in tables and texts.
        paper: Authors, title, venue and year.
        trainers: Of its networks.
        rows: Name for `benchmark accuracy --system` -> row.
        shown: What the quickstart trains and shows; None leaves the system out of it.
        place: Where it comes in lists; systems of other packages come behind ours.
    """

    key: str
    title: str
    paper: str
    trainers: tuple[TrainerFacts, ...]
    rows: Mapping[str, Row] = field(default_factory=dict)
    shown: Shown | None = None
    place: int = 100
