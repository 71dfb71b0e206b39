"""A trained system in memory: `predict(array, spacing_mm) -> labels`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from nnunet_cardiac.devices import choose_device
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.images.orientation import IDENTITY, Way
from nnunet_cardiac.inference.array_place import header_of, placed
from nnunet_cardiac.inference.model_folder import FINAL, find_stages
from nnunet_cardiac.inference.precision import PRECISIONS
from nnunet_cardiac.inference.trained_stage import Prepared, TrainedStage
from nnunet_cardiac.inference.training_storage import AUTO, UNKNOWN, TrainingStorage, find_training_storage
from nnunet_cardiac.label_values import structure_values

logger = logging.getLogger(__name__)

#: Slices in a batch by device: on a processor one at a time was measured faster than six.
BATCH = {"cpu": 1, "cuda": 16, "mps": 4}


class CardiacPredictor:
    """All stages of a trained system, loaded once.

    With `precision="fp32"` the label map is that of `nnUNetv2_predict --disable_tta` run stage after stage. Starts no
    processes, so it is safe in a notebook and in a script without `if __name__ == "__main__"`.

    Args:
        stages: First stage first.
        storage: How the training images lie in their files.
    """

    def __init__(self, stages: Sequence[TrainedStage], storage: TrainingStorage = UNKNOWN) -> None:
        self.stages = list(stages)
        self.storage = storage

    @classmethod
    def from_folder(
        cls,
        folder: Path | str,
        *,
        folds: Sequence[str | int] | None = None,
        checkpoint: str = FINAL,
        device: str = "auto",
        precision: str = "auto",
        mirroring: bool = False,
        batch: int | None = None,
        trust_checkpoint: bool = False,
        orientation: str = AUTO,
    ) -> CardiacPredictor:
        """Load a trained system.

        Args:
            folder: Result folder of the last stage (`TRAINER__PLANS__CONFIGURATION`); the stages before it are found
                from its plans.
            folds: Folds whose logits are averaged; None takes all that are trained.
            checkpoint: File name in the fold folders.
            device: `auto`, `cuda`, `cpu`, `mps`, or a torch device such as `cuda:1`.
            precision: `fp32`, `bf16`, or `auto` for what is fastest on the device.
            mirroring: Average over mirror images, where the trainer allows it.
            batch: Slices in a batch; None takes what suits the device.
            trust_checkpoint: Load checkpoints that hold more than plain data. It can run code: see the README.
            orientation: How images are brought to lie: `auto` as the training images do, `canonical`, or `as-stored`.

        Raises:
            UserError: If something of the model is missing, damaged or not trusted.
        """
        if precision not in PRECISIONS:
            raise UserError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}.")
        place = torch.device(choose_device(device))
        if place.type == "cuda" and not torch.cuda.is_available():
            raise UserError(f"device is {device!r}, but torch sees no GPU; use auto or cpu.")
        folders = find_stages(folder, folds, checkpoint)
        storage = find_training_storage(folders, orientation)
        if storage.warning:
            logger.warning("%s", storage.warning)
        stages = [
            TrainedStage.load(
                stage,
                place,
                precision=precision,
                mirroring=mirroring,
                batch=batch or BATCH.get(place.type, 1),
                trusted=trust_checkpoint,
            )
            for stage in folders
        ]
        return cls(stages, storage)

    @property
    def channels(self) -> int:
        """Image channels that the system was trained with."""
        return self.stages[-1].channels

    @property
    def labels(self) -> dict[str, int]:
        """Name -> value of the structures in the label maps: without background and ignore label."""
        return structure_values(self.stages[-1].dataset_json["labels"])

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.stages[-1].window.device

    def predict(
        self,
        image: npt.ArrayLike,
        spacing_mm: Sequence[float] | None = None,
        *,
        affine: npt.ArrayLike | None = None,
        direction: npt.ArrayLike | None = None,
    ) -> npt.NDArray[np.integer]:
        """Segment one image.

        With `affine` or `direction` the image may lie in any of the 48 ways: it is brought to lie as the training
        images do. Without them it is taken as it is.

        Args:
            image: Intensities (Z, Y, X), or (C, Z, Y, X) with the channels of the training data.
            spacing_mm: Voxel size (z, y, x); the slice distance, not the thickness. Not needed with an affine.
            affine: NIfTI's matrix (4, 4) from voxels (x, y, z) to mm (right, anterior, superior), as nibabel gives it.
                Its arrays are (X, Y, Z): transpose them.
            direction: Direction cosines of x, y and z, one a column, towards left, posterior and superior, as SimpleITK
                gives them: nine numbers or (3, 3).

        Returns:
            Label map (Z, Y, X) on the grid of the image, values as in :attr:`labels`.

        Raises:
            UserError: If the shape, the number of channels, the spacing, the direction or the values cannot be used.
        """
        spacing_mm, way = self._way(np.shape(image)[-3:], spacing_mm, affine, direction)
        array = self.checked(image, spacing_mm)
        labels = self.run_stages(np.ascontiguousarray(way.apply(array)), way.sizes(spacing_mm))[-1]
        return np.ascontiguousarray(way.inverse.apply(labels))

    def _way(
        self,
        shape: Sequence[int],
        spacing_mm: Sequence[float] | None,
        affine: npt.ArrayLike | None,
        direction: npt.ArrayLike | None,
    ) -> tuple[tuple[float, ...], Way]:
        """Voxel size (z, y, x), and how an image of a shape (Z, Y, X) is brought to lie as the training images."""
        sizes, axes = placed(spacing_mm, affine, direction)
        if axes is None or len(shape) < 3 or len(sizes) < 3:
            return sizes, IDENTITY
        return sizes, self.storage.way_of(header_of(shape, sizes, axes))

    def checked(self, image: npt.ArrayLike, spacing_mm: Sequence[float]) -> npt.NDArray[np.float32]:
        """Return an image as (C, Z, Y, X) in float32, or say what is wrong with it."""
        array = np.asarray(image, dtype=np.float32)
        array = array[None] if array.ndim == 3 else array
        if array.ndim != 4:
            raise UserError(
                f"The image has shape {np.shape(image)}, expected (Z, Y, X) or (C, Z, Y, X). A single slice is "
                "image[None]; a cine series goes in frame by frame."
            )
        if len(array) != self.channels:
            raise UserError(
                f"The image has {len(array)} channels, and the model was trained with {self.channels} "
                f"({', '.join(self.stages[-1].dataset_json.get('channel_names', {}).values())})."
            )
        if len(spacing_mm) != 3 or not all(np.isfinite(size) and size > 0 for size in spacing_mm):
            raise UserError(f"spacing_mm is {tuple(spacing_mm)}, expected three positive sizes (z, y, x) in mm.")
        if not np.isfinite(array).all():
            raise UserError(
                f"{np.count_nonzero(~np.isfinite(array))} of {array.size} values of the image are not finite (NaN or "
                "infinite). Export the image again, or fill them."
            )
        if not array.any():
            raise UserError("The image is zero everywhere; there is nothing to segment.")
        return array

    def _checked_frame(
        self, frames: npt.NDArray[np.float32], number: int, spacing_mm: Sequence[float]
    ) -> npt.NDArray[np.float32]:
        """As :meth:`checked`; the error says which frame of a cine series it is, counted from 1."""
        try:
            return self.checked(frames[number], spacing_mm)
        except UserError as error:
            if len(frames) == 1:
                raise
            raise UserError(f"Frame {number + 1} of {len(frames)}: {error}") from error

    def predict_frames(
        self,
        frames: npt.NDArray[np.float32],
        spacing_mm: Sequence[float] | None = None,
        progress: bool = False,
        *,
        affine: npt.ArrayLike | None = None,
        direction: npt.ArrayLike | None = None,
        way: Way | None = None,
    ) -> npt.NDArray[np.integer]:
        """Segment the frames of a cine series, or a single stack as one frame.

        Each frame is normalised by itself and has the label map of :meth:`predict`.

        Args:
            frames: (T, C, Z, Y, X).
            spacing_mm: Voxel size (z, y, x), as for :meth:`predict`.
            progress: Whether to show a bar.
            affine: Matrix of a frame, as for :meth:`predict`.
            direction: Direction cosines, as for :meth:`predict`.
            way: How they are brought to lie as the training images, for a caller who worked it out from
                :attr:`storage`; None finds it from affine or direction.

        Returns:
            Label maps (T, Z, Y, X) on the grid of the frames.

        Raises:
            UserError: As :meth:`predict`.
        """
        spacing_mm, found = self._way(np.shape(frames)[-3:], spacing_mm, affine, direction)
        way = found if way is None else way
        images = [
            np.ascontiguousarray(way.apply(self._checked_frame(frames, number, spacing_mm)))
            for number in range(len(frames))
        ]
        spacing_mm = way.sizes(spacing_mm)
        # On a GPU, threads preprocess the next frame and resample the last one while the networks compute. On a
        # processor they would take the cores from the networks, whose threads wait for each other.
        background = self.device.type != "cpu"
        first, last = self.stages[0], self.stages[-1]
        with _Worker(background) as before, _Worker(background) as after:
            prepared = [before.submit(first.prepare, image, spacing_mm) for image in images]
            exported = []
            pairs = zip(images, prepared, strict=True)
            for image, ready in tqdm(pairs, "frames", len(images), leave=False, disable=not progress):
                logits, properties = self._last_logits(image, spacing_mm, ready())
                exported.append(after.submit(last.export, logits, properties))
                if not background:
                    exported[-1]()  # now, or the logits of all frames are kept
            return np.stack([way.inverse.apply(label_map()) for label_map in exported])

    def _last_logits(
        self, image: npt.NDArray[np.float32], spacing_mm: Sequence[float], prepared: Prepared
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Run all stages but the export of the last one."""
        coarse: npt.NDArray[np.integer] | None = None
        for number, stage in enumerate(self.stages):
            if number and not stage.prepares_like(self.stages[number - 1]):
                prepared = stage.prepare(image, spacing_mm)
            data = prepared.data if coarse is None else stage.with_coarse(prepared, coarse)
            logits = stage.logits(data)
            if stage is not self.stages[-1]:
                coarse = stage.export(logits, prepared.properties)
        return logits, prepared.properties

    def run_stages(self, image: npt.NDArray[np.float32], spacing_mm: Sequence[float]) -> list[npt.NDArray[np.integer]]:
        """Return the label map of each stage for a checked image (C, Z, Y, X)."""
        results: list[npt.NDArray[np.integer]] = []
        prepared: Prepared | None = None
        for number, stage in enumerate(self.stages):
            if prepared is None or not stage.prepares_like(self.stages[number - 1]):
                prepared = stage.prepare(image, spacing_mm)
            data = stage.with_coarse(prepared, results[-1]) if stage.needs_coarse else prepared.data
            results.append(stage.export(stage.logits(data), prepared.properties))
        return results


class _Worker:
    """A thread that works through what it is given, or none: then work is done when its result is asked for."""

    def __init__(self, background: bool) -> None:
        self._executor = ThreadPoolExecutor(1) if background else None

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def submit(self, work: Callable[..., Any], *args: Any) -> Callable[[], Any]:
        """Return a function that gives the result, each time the same."""
        if self._executor is not None:
            return self._executor.submit(work, *args).result
        return lru_cache(maxsize=None)(lambda: work(*args))
