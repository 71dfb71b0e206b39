"""The same heart gives the same label map, however its file is stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from nnunet_cardiac.cli import main
from nnunet_cardiac.errors import UserError
from nnunet_cardiac.files import read_json, write_json
from nnunet_cardiac.images.layout import Header
from nnunet_cardiac.images.orientation import IDENTITY, WAYS, Way, directions
from nnunet_cardiac.inference import CardiacPredictor
from nnunet_cardiac.inference.model_folder import find_stages
from nnunet_cardiac.inference.training_storage import find_training_storage

#: A short-axis plane as scanners store it, and so canonical.
AXES = np.array([[0.8, -0.36, -0.48], [0.6, 0.48, 0.64], [0.0, -0.8, 0.6]])
SPACING = (9.0, 1.3, 1.45)
RECORD = {"nnunet_cardiac": {"orientation": {"training_images": IDENTITY.code}}}

#: One of each kind of change.
SOME = [Way.of(code) for code in ("-x +y +z", "+x -y +z", "+y +x +z", "+x +y -z", "+y +z +x", "-z +x -y")]


def header(array: np.ndarray) -> Header:
    time = () if array.ndim == 3 else (30.0,)
    whole = np.eye(array.ndim)
    whole[:3, :3] = AXES
    origin = (-40.0, 10.0, 25.0, 0.0)[: array.ndim]
    return Header(array.shape[::-1], (*SPACING[::-1], *time), origin, tuple(whole.ravel()), 1)


def write(path: Path, array: np.ndarray, way: Way = IDENTITY) -> None:
    """Write the heart so that `way` brings the file back to how it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = way.inverse.moved(header(array))
    image = sitk.GetImageFromArray(np.ascontiguousarray(way.inverse.apply(array)), isVector=False)
    image.SetSpacing(stored.spacing)
    image.SetOrigin(stored.origin)
    image.SetDirection(stored.direction)
    sitk.WriteImage(image, str(path))


def read(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def run(model: Path, tmp_path: Path, *options: object) -> int:
    words = ["predict", "-i", tmp_path / "images", "-o", tmp_path / "out", "-m", model, "-device", "cpu"]
    return main([str(word) for word in (*words, "--threads", 1, "--quiet", *options)])


def check_ways(predictor: CardiacPredictor, heart: np.ndarray, ways: list[Way]) -> None:
    expected = predictor.predict(heart, SPACING, direction=AXES)
    assert len(np.unique(expected)) > 1
    for way in ways:
        stored = way.inverse.moved(header(heart))
        found = predictor.predict(
            way.inverse.apply(heart), stored.spacing[::-1], direction=np.reshape(stored.direction, (3, 3))
        )
        assert np.array_equal(way.apply(found), expected), way.code


def load(model: Path, **options: str) -> CardiacPredictor:
    """Load a system whose label maps depend on how an image lies; those of the joint one's first weights do not."""
    predictor = CardiacPredictor.from_folder(model, device="cpu", **options)  # type: ignore[arg-type]
    if "3d_joint" in model.name:
        torch.manual_seed(1)
        for weights in predictor.stages[-1].networks[0].parameters():
            torch.nn.init.normal_(weights, 0, 0.1)
    return predictor


@pytest.mark.parametrize("system", ["CroCNet", "HALSR", "guided", "DRUNet", "DRUNetJoint", "nnUNet"])
class TestEverySystem:
    @pytest.mark.slow
    def test_48_ways(self, write_system: Callable[..., Path], heart: np.ndarray, system: str) -> None:
        check_ways(load(write_system(system, **RECORD)), heart[:3], list(WAYS))

    def test_some_ways(self, write_system: Callable[..., Path], heart: np.ndarray, system: str) -> None:
        check_ways(load(write_system(system, **RECORD)), heart[:3], SOME[2::2])

    def test_how_an_image_lies_matters_to_the_network(
        self, write_system: Callable[..., Path], heart: np.ndarray, system: str
    ) -> None:
        """Or the tests above could not fail."""
        predictor = load(write_system(system), orientation="as-stored")

        with pytest.raises(AssertionError, match=r"[+-]x [+-]y [+-]z|[+-]z"):
            check_ways(predictor, heart[:3], SOME[:1] + SOME[5:])


@pytest.mark.slow
def test_48_ways_to_store_a_cine(write_system: Callable[..., Path], heart: np.ndarray) -> None:
    predictor = load(write_system("nnUNet", **RECORD))
    cine = np.stack([heart[:2], 1.2 * heart[2:4] + 5])[:, None]
    expected = predictor.predict_frames(cine, SPACING, direction=AXES)
    assert not np.array_equal(expected[0], expected[1])
    for way in WAYS:
        stored = way.inverse.moved(header(cine[0, 0]))
        axes = np.reshape(stored.direction, (3, 3))
        found = predictor.predict_frames(way.inverse.apply(cine), stored.spacing[::-1], direction=axes)
        assert np.array_equal(way.apply(found), expected), way.code


class TestFiles:
    """Stacks and cine in files of all formats, label maps on the grid of the file."""

    @pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
    def test_stacks_and_cines(
        self, write_system: Callable[..., Path], heart: np.ndarray, tmp_path: Path, ending: str
    ) -> None:
        cine = np.stack([heart, 1.2 * heart + 5])
        for number, way in enumerate([IDENTITY, *SOME]):
            write(tmp_path / "images" / f"stack{number}{ending}", heart, way)
            if ending != ".mha":  # SimpleITK reads the direction of four-dimensional ones wrongly
                write(tmp_path / "images" / f"cine{number}{ending}", cine, way)

        assert run(write_system("nnUNet", **RECORD), tmp_path) == 0

        for kind in ("stack", "cine") if ending != ".mha" else ("stack",):
            expected = read(tmp_path / "out" / f"{kind}0.nii.gz")
            assert len(np.unique(expected)) > 1
            for number, way in enumerate(SOME, start=1):
                found = read(tmp_path / "out" / f"{kind}{number}.nii.gz")
                assert np.array_equal(way.apply(found), expected), way.code
                record = read_json(tmp_path / "out" / f"{kind}{number}.json")
                assert record["orientation"] == {"training_images": "+x +y +z"}
                assert record["input"]["moved"] == way.code
                assert record["volumes_ml"] == read_json(tmp_path / "out" / f"{kind}0.json")["volumes_ml"]

    def test_the_label_map_has_the_grid_of_the_file_bit_for_bit(
        self, write_system: Callable[..., Path], heart: np.ndarray, tmp_path: Path
    ) -> None:
        write(tmp_path / "images" / "heart.nii.gz", heart, SOME[4])

        assert run(write_system("nnUNet", **RECORD), tmp_path) == 0

        image, found = (nibabel.load(tmp_path / folder / "heart.nii.gz") for folder in ("images", "out"))
        assert found.shape == image.shape
        assert np.array_equal(found.header["pixdim"][:4], image.header["pixdim"][:4])
        for field in ("quatern_b", "quatern_c", "quatern_d", "srow_x", "srow_y", "srow_z", "qform_code"):
            assert np.array_equal(found.header[field], image.header[field]), field

    def test_a_file_without_a_direction_is_taken_as_it_is_and_says_so(
        self, write_system: Callable[..., Path], heart: np.ndarray, tmp_path: Path
    ) -> None:
        model = write_system("nnUNet", **RECORD)
        image = nibabel.Nifti1Image(heart.T[::-1], None)
        image.header.set_zooms(SPACING[::-1])
        image.header.set_xyzt_units("mm")
        (tmp_path / "images").mkdir()
        nibabel.save(image, tmp_path / "images" / "heart.nii.gz")
        saved = nibabel.load(tmp_path / "images" / "heart.nii.gz").header
        assert (saved["qform_code"], saved["sform_code"]) == (0, 0)

        assert run(model, tmp_path) == 0

        expected = CardiacPredictor.from_folder(model, device="cpu").predict(heart[..., ::-1], SPACING)
        assert np.array_equal(read(tmp_path / "out" / "heart.nii.gz"), expected)
        assert any(
            "does not say how the image lies" in w for w in read_json(tmp_path / "out" / "heart.json")["warnings"]
        )

    def test_resume_keeps_no_result_of_another_orientation(
        self, write_system: Callable[..., Path], heart: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        model = write_system("nnUNet", **RECORD)
        write(tmp_path / "images" / "heart.nii.gz", heart, SOME[0])
        assert run(model, tmp_path, "--orientation", "as-stored") == 0
        record = tmp_path / "out" / "heart.json"
        content = read_json(record)
        del content["input"]["moved"]  # as earlier versions wrote it, which moved nothing

        for earlier in (read_json(record), content):
            write_json(record, earlier)
            assert run(model, tmp_path, "--resume") == 1
            assert "another voxel size or --orientation" in caplog.text
            caplog.clear()
            assert run(model, tmp_path, "--resume", "--orientation", "as-stored") == 0

    def test_channels_stored_differently_are_brought_together(
        self, write_system: Callable[..., Path], heart: np.ndarray, tmp_path: Path
    ) -> None:
        from nnunet_cardiac.inference.images import read_series

        paths = [tmp_path / f"heart_000{channel}.nii.gz" for channel in range(2)]
        write(paths[0], heart, SOME[2])
        write(paths[1], 2 * heart, SOME[4])

        frames = read_series("heart", paths).frames

        assert np.array_equal(frames[:, 1], 2 * frames[:, 0])
        assert np.array_equal(SOME[2].apply(frames)[0, 0], heart)

    def test_channels_of_two_bodies_are_refused(self, heart: np.ndarray, tmp_path: Path) -> None:
        from nnunet_cardiac.inference.images import read_series

        paths = [tmp_path / f"heart_000{channel}.nii.gz" for channel in range(2)]
        write(paths[0], heart)
        write(paths[1], heart[:, ::-1].copy())
        moved = sitk.ReadImage(str(paths[1]))
        moved.SetOrigin((0, 0, 0))
        sitk.WriteImage(moved, str(paths[1]))

        with pytest.raises(UserError, match=r"heart_0001.*origin is .*heart_0000.*resample"):
            read_series("heart", paths)


class TestTrainingStorage:
    """How the training images lie: recorded in the plans, or seen in what nnU-Net kept."""

    flipped = Way.of("-x +y +z")

    def test_images_are_brought_to_lie_as_flipped_training_images(
        self, write_system: Callable[..., Path], heart: np.ndarray
    ) -> None:
        record = {"nnunet_cardiac": {"orientation": {"training_images": self.flipped.code}}}
        predictor = CardiacPredictor.from_folder(write_system("nnUNet", **record), device="cpu")

        found = predictor.predict(heart, SPACING, direction=AXES)

        assert np.array_equal(found[..., ::-1], predictor.predict(heart[..., ::-1], SPACING))

    @pytest.mark.parametrize("place", ["validation", "raw", "preprocessed"])
    def test_models_without_a_record(
        self,
        write_system: Callable[..., Path],
        heart: np.ndarray,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        place: str,
    ) -> None:
        model = write_system("CroCNet")
        folder = {
            "validation": model / "fold_0" / "validation",
            "raw": tmp_path / "raw" / "Dataset001_Heart" / "imagesTr",
            "preprocessed": tmp_path / "preprocessed" / "Dataset001_Heart" / "gt_segmentations",
        }[place]
        for name in ("raw", "preprocessed"):
            monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))
        for number, way in enumerate([self.flipped, IDENTITY, self.flipped]):
            write(folder / f"case{number}.nii.gz", heart[:2, ::8, ::8], way)

        storage = CardiacPredictor.from_folder(model, device="cpu").storage

        assert (storage.way, storage.known_from) == (self.flipped, place)
        assert "2 ways: -x +y +z (2), +x +y +z (1)" in storage.warning

    @pytest.mark.parametrize(("ways", "said"), [({"-x +y +z": 9}, ""), ({"-x +y +z": 8, "+x +y +z": 1}, "in 2 ways")])
    def test_a_model_trained_on_several_ways_is_said(
        self, write_system: Callable[..., Path], ways: dict[str, int], said: str
    ) -> None:
        entry = {"training_images": self.flipped.code, "ways": ways, "without_direction": 0}

        model = write_system("nnUNet", nnunet_cardiac={"orientation": entry})

        storage = find_training_storage(find_stages(model))

        assert (storage.way, storage.known_from) == (self.flipped, "plans")
        assert said in storage.warning if said else not storage.warning

    def test_where_nothing_is_known_images_are_taken_as_stored_and_it_is_said(
        self, write_system: Callable[..., Path], heart: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        model = write_system("nnUNet")
        write(tmp_path / "images" / "heart.nii.gz", heart, self.flipped)

        assert run(model, tmp_path) == 0

        expected = CardiacPredictor.from_folder(model, device="cpu").predict(heart[..., ::-1], SPACING)
        assert np.array_equal(read(tmp_path / "out" / "heart.nii.gz"), expected)
        assert "taken as they are stored" in caplog.text
        assert read_json(tmp_path / "out" / "heart.json")["orientation"]["training_images"] == "as-stored"

    def test_the_user_decides(self, write_system: Callable[..., Path], heart: np.ndarray) -> None:
        model = write_system("nnUNet")
        ways = {
            asked: CardiacPredictor.from_folder(model, device="cpu", orientation=asked).storage.way
            for asked in ("canonical", "as-stored", "-x +y +z")
        }

        assert ways == {"canonical": IDENTITY, "as-stored": None, "-x +y +z": self.flipped}
        with pytest.raises(UserError, match="orientation is 'upright', expected one of auto, canonical, as-stored"):
            CardiacPredictor.from_folder(model, device="cpu", orientation="upright")

    @pytest.mark.parametrize(
        "entry",
        [{"training_images": "upside down"}, {"training_images": 5}, {"training_images": ["+x"]}, {}, "+x +y +z"],
    )
    def test_a_record_that_is_none_is_refused(self, write_system: Callable[..., Path], entry: object) -> None:
        model = write_system("nnUNet", nnunet_cardiac={"orientation": entry})

        with pytest.raises(UserError, match=r"orientation is .*; expected an entry training_images such as .*Plan"):
            find_training_storage(find_stages(model))

    @pytest.mark.parametrize("own", [None, [], {"orientation": None}])
    def test_plans_of_others_say_nothing(self, write_system: Callable[..., Path], own: object) -> None:
        storage = find_training_storage(find_stages(write_system("nnUNet", nnunet_cardiac=own)))

        assert (storage.way, storage.known_from) == (None, "")


class TestArrays:
    """`predict` with the affine of nibabel or the direction of SimpleITK."""

    @pytest.fixture
    def predictor(self, write_system: Callable[..., Path]) -> CardiacPredictor:
        return CardiacPredictor.from_folder(write_system("nnUNet", **RECORD), device="cpu")

    def test_an_affine(self, predictor: CardiacPredictor, heart: np.ndarray, tmp_path: Path) -> None:
        write(tmp_path / "heart.nii.gz", heart, SOME[5])
        image = nibabel.load(tmp_path / "heart.nii.gz")

        found = predictor.predict(np.asarray(image.dataobj).T, affine=image.affine)

        assert np.array_equal(SOME[5].apply(found), predictor.predict(heart, SPACING, direction=AXES))

    def test_voxel_sizes_that_contradict_each_other(self, predictor: CardiacPredictor, heart: np.ndarray) -> None:
        with pytest.raises(UserError, match=r"spacing_mm is .* and affine has 1 x 1 x 1 mm"):
            predictor.predict(heart, SPACING, affine=np.eye(4))

    @pytest.mark.parametrize(
        ("place", "message"),
        [
            ({"affine": np.zeros((4, 4))}, "lengths"),
            ({"affine": np.full((4, 4), np.nan)}, "lengths"),
            ({"affine": np.eye(3)}, r"affine has shape \(3, 3\)"),
            ({"direction": np.eye(4)}, r"direction has shape \(4, 4\)"),
            ({"direction": "left"}, "expected a matrix"),
            ({"direction": [[1, 0.5, 0], [0, 1, 0], [0, 0, 1]]}, "away from right angles"),
            ({"direction": np.eye(3), "affine": np.eye(4)}, "both given"),
        ],
    )
    def test_places_that_are_none(
        self, predictor: CardiacPredictor, heart: np.ndarray, place: dict[str, object], message: str
    ) -> None:
        with pytest.raises(UserError, match=message):
            predictor.predict(heart, None if "affine" in place else SPACING, **place)

    def test_a_voxel_size_is_needed(self, predictor: CardiacPredictor, heart: np.ndarray) -> None:
        with pytest.raises(UserError, match="spacing_mm is missing"):
            predictor.predict(heart, direction=AXES)

    def test_left_handed_arrays(self, predictor: CardiacPredictor, heart: np.ndarray) -> None:
        found = predictor.predict_frames(heart[None, None, ::-1], SPACING, direction=AXES * [1, 1, -1])[0]

        assert np.array_equal(found[::-1], predictor.predict(heart, SPACING, direction=AXES))


def test_plans_record_how_the_training_images_lie(tmp_path: Path, heart: np.ndarray) -> None:
    from nnunet_cardiac.planning.orientation_record import read_record, with_record

    preprocessed = tmp_path / "Dataset001_Heart"
    write_json_of_dataset(preprocessed)
    for number, way in enumerate([SOME[0], SOME[0], IDENTITY]):
        write(preprocessed / "gt_segmentations" / f"case{number}.nii.gz", heart[:2, ::8, ::8], way)

    plans = with_record({"plans_name": "nnUNetPlans", "nnunet_cardiac": {"other": 1}}, preprocessed, None)

    assert json.loads(json.dumps(plans["nnunet_cardiac"])) == {
        "other": 1,
        "orientation": {"training_images": "-x +y +z", "ways": {"-x +y +z": 2, "+x +y +z": 1}, "without_direction": 0},
    }
    record = read_record(plans)
    assert record is not None
    assert record.way == SOME[0]
    assert read_record({}) is None


def write_json_of_dataset(folder: Path) -> None:
    folder.mkdir()
    write_json(folder / "dataset.json", {"file_ending": ".nii.gz"})


def test_headers_of_frames_agree_with_series(heart: np.ndarray, tmp_path: Path) -> None:
    """The geometry of a series is that of its file."""
    from nnunet_cardiac.inference.images import read_series

    write(tmp_path / "cine.nii.gz", np.stack([heart, heart]), SOME[4])
    image = sitk.ReadImage(str(tmp_path / "cine.nii.gz"))

    found = read_series("cine", [tmp_path / "cine.nii.gz"]).header

    assert found.size == image.GetSize()
    assert np.allclose(found.spacing, image.GetSpacing())
    assert np.allclose(directions(found), np.reshape(image.GetDirection(), (4, 4))[:3, :3], atol=1e-6)
