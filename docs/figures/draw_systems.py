"""Draw the block diagrams of the four systems, docs/images/SYSTEM.svg: `python docs/figures/draw_systems.py`.

The slices in them are of the phantom; windows and results are drawn from its reference, no network is run.
"""

from __future__ import annotations

import numpy as np
from diagram import WHITE, Area, Array, Diagram

from nnunet_cardiac.phantom.short_axis import make_study

_PICTURE = 11.0  # side of a slice in the diagrams
_MATRIX = 160
_SHOWN = 56  # pixels on each side of the heart
_LEVELS = (0.25, 0.5, 0.75)  # of the slices that stand for a stack, as shares of its length from the apex


class Example:
    """Slices of one phantom study at end-diastole, with the window around the heart."""

    def __init__(self) -> None:
        study = make_study(3, "NOR", frames=2, matrix=(_MATRIX, _MATRIX), phases_only=True)
        rows, columns = np.nonzero(study.labels[0].any(axis=0))
        middle = [(int(axis.min()) + int(axis.max())) // 2 for axis in (rows, columns)]
        shown = np.s_[:, middle[0] - _SHOWN : middle[0] + _SHOWN, middle[1] - _SHOWN - 8 : middle[1] + _SHOWN - 8]
        self.images, self.labels = study.images[0][shown], study.labels[0][shown]
        half = (int(max(np.ptp(rows), np.ptp(columns))) + 16) // 2
        self.window = np.array([_SHOWN - half, _SHOWN + half, _SHOWN + 8 - half, _SHOWN + 8 + half])
        self.levels = [int(share * (len(self.images) - 1)) for share in _LEVELS]
        self.middle = self.levels[1]

    def image(self, level: int | None = None) -> Array:
        """A slice (Y, X); the middle one if none is named."""
        return self.images[self.middle if level is None else level]

    def label(self, level: int | None = None) -> Array:
        """Its label map."""
        return self.labels[self.middle if level is None else level]

    def cropped(self, array: Array) -> Array:
        """The window of a slice."""
        top, bottom, left, right = self.window
        return array[top:bottom, left:right]

    def coarse(self) -> Array:
        """A coarse label map: the reference of the middle slice, shifted, with a stray part."""
        labels = np.roll(self.label(), (2, -2), axis=(0, 1))
        labels[4:14, 4:16] = 1
        return labels

    def box(self) -> Array:
        """Window around the left ventricle alone."""
        rows, columns = np.nonzero(self.label() >= 2)
        return np.array([rows.min() - 8, rows.max() + 8, columns.min() - 8, columns.max() + 8])

    def activation(self) -> Array:
        """Colours (Y, X, 3) of the middle slice under a smooth map that is strongest at the heart."""
        rows, columns = np.mgrid[: 2 * _SHOWN, : 2 * _SHOWN]
        centre = self.window.reshape(2, 2).mean(axis=1)
        heat = np.exp(-((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) / (2 * (0.4 * _SHOWN) ** 2))
        grey = np.clip(self.image() / np.percentile(self.image(), WHITE), 0, 1)[..., None]
        return np.clip(grey * (1 - 0.6 * heat[..., None]) + heat[..., None] * np.array([0.8, 0.2, 0.05]), 0, 1)


def _picture(x: float, y: float) -> Area:
    return Area(x, y, _PICTURE, _PICTURE)


def _stack(drawing: Diagram, area: Area, example: Example, *, labelled: bool = False) -> Area:
    """Three slices one behind the other, base in front."""
    for step, level in zip((2.4, 1.2, 0.0), example.levels, strict=True):
        moved = Area(area.x + step, area.y + step, area.width, area.height)
        drawing.slice(moved, example.image(level), example.label(level) if labelled else None)
    return Area(area.x, area.y, area.width + 2.4, area.height)


def crocnet(example: Example) -> None:
    """E-2A U-Net, window, coupled specialists."""
    drawing = Diagram(31)
    image = drawing.slice(_picture(1, 10), example.image())
    drawing.note((6.5, 21.4), "slice")
    first = drawing.box(Area(16, 10.5, 14, 10), "E-2A U-Net", "stage 1, 2d:\nU-Net with efficient\nadditive attention")
    coarse = drawing.slice(_picture(34, 10), example.image(), example.coarse(), example.window)
    drawing.note((39.5, 21.4), "coarse labels and window")
    inside = drawing.slice(_picture(49, 10), example.cropped(example.image()), example.cropped(example.coarse()))
    drawing.note((54.5, 21.4), "image and masks")
    networks = [
        drawing.box(Area(65, y, 16, 6), f"Specialist {name}", "", "network")
        for name, y in (("RV", 22), ("MYO", 12.5), ("LV", 3))
    ]
    result = drawing.slice(_picture(88, 10), example.image(), example.label())
    drawing.note((93.5, 21.4), "labels")
    drawing.arrow(image.right, first.left)
    drawing.arrow(first.right, coarse.left)
    drawing.arrow(coarse.right, inside.left)
    for network in networks:
        drawing.arrow(inside.right, network.left)
        drawing.arrow(network.right, result.left)
    drawing.arrow(networks[0].bottom, networks[1].top, both=True)
    drawing.arrow(networks[1].bottom, networks[2].top, both=True)
    drawing.note((79, 19.8), "cross-attention")
    drawing.note((73, 0.6), "stage 2, 2d_crop: shared weights")
    drawing.save("crocnet")


def halsr(example: Example) -> None:
    """Regressed box, window, network with a second segmentation from the latent map."""
    drawing = Diagram(31)
    image = drawing.slice(_picture(1, 14), example.image())
    drawing.note((6.5, 25.4), "slice")
    first = drawing.box(Area(16, 14.5, 13, 10), "Regressor", "2d_roi: corners of\nthe box of the\nleft ventricle")
    boxed = drawing.slice(_picture(33, 14), example.image(), window=example.box())
    drawing.note((38.5, 25.4), "box, then window")
    encoder = drawing.box(Area(49, 14.5, 11, 10), "Encoder", "five levels")
    latent = drawing.box(Area(49, 2, 11, 6), "HAPM", "latent map", "step")
    decoder = drawing.box(Area(66, 14.5, 14, 10), "Decoder", "attention gates and\nHAPM at each level")
    second = drawing.box(Area(66, 2, 14, 6), "Reconstruction", "from the latent map")
    result = drawing.slice(_picture(88, 14), example.image(), example.label())
    drawing.note((93.5, 25.4), "labels")
    drawing.arrow(image.right, first.left)
    drawing.arrow(first.right, boxed.left)
    drawing.arrow(boxed.right, encoder.left)
    drawing.arrow(encoder.right, decoder.left)
    drawing.arrow(encoder.bottom, latent.top)
    drawing.arrow((60, 6.5), (67, 14.5))
    drawing.arrow(latent.right, second.left)
    drawing.arrow(decoder.right, result.left)
    drawing.arrow(second.right, (90, 14))
    drawing.note((88.5, 6.5), "mean of the\nprobabilities")
    drawing.note((25, 6.5), "2d: the same network on whole slices, without regressor and window")
    drawing.save("halsr")


def classifier_guided(example: Example) -> None:
    """Two U-Nets on whole stacks, fused at the bottlenecks and gated by a classifier."""
    drawing = Diagram(31)
    stack = _stack(drawing, _picture(1, 9), example)
    drawing.note((8, 22.9), "all slices of a stack")
    first = drawing.box(
        Area(20, 9, 17, 11), "Segmentation U-Net", "selective kernels;\ntransformer fuses all slices\nat the bottleneck"
    )
    second = drawing.box(
        Area(46, 9, 17, 11), "Refinement U-Net", "the same network;\nsees probabilities,\nnot the image"
    )
    classifier = drawing.box(Area(46, 24, 17, 5.5), "Classifier", "which structures has a slice?", "step")
    gates = drawing.box(Area(69, 10.5, 13, 8), "Gates", "hide structures that\nare not there", "step")
    result = _stack(drawing, _picture(86, 9), example, labelled=True)
    drawing.note((93, 22.9), "labels")
    drawing.arrow(stack.right, first.left)
    drawing.arrow(first.right, second.left)
    drawing.note((41.5, 15.2), "proba-\nbilities")
    drawing.arrow(second.top, classifier.bottom)
    drawing.arrow(second.right, gates.left)
    drawing.arrow(classifier.right, gates.top)
    drawing.arrow(gates.right, (result.x, gates.right[1]))
    drawing.note((41.5, 4), "2d_stack: both networks are trained together")
    drawing.save("classifier_guided")


def dr_unet(example: Example) -> None:
    """Activation map, window, network; below it both networks end to end."""
    drawing = Diagram(38)
    volume = _stack(drawing, _picture(1, 20), example)
    drawing.note((8, 33.9), "volume")
    first = drawing.box(Area(19, 21, 16, 9), "Small 3D DR-UNet", "3d_locate:\nlow resolution")
    heat = drawing.slice(_picture(39, 20), example.activation(), window=example.window)
    drawing.note((44.5, 31.4), "activation map and window")
    inside = drawing.slice(_picture(54, 20), example.cropped(example.image()))
    drawing.note((59.5, 31.4), "window")
    second = drawing.box(Area(69, 21, 14, 9), "3D DR-UNet", "3d_crop:\nfull resolution")
    result = drawing.slice(_picture(88, 20), example.image(), example.label())
    drawing.note((93.5, 31.4), "labels")
    for start, end in ((volume, first), (first, heat), (heat, inside), (inside, second), (second, result)):
        drawing.arrow((start.right[0], 25.5), (end.left[0], 25.5))
    small = drawing.box(Area(19, 6, 16, 8), "Small 3D DR-UNet", "same grid")
    times = drawing.box(Area(44, 7, 11, 6), "Image × map", "", "step")
    large = drawing.box(Area(69, 6, 14, 8), "3D DR-UNet", "")
    drawing.arrow((6.5, 20), (19, 10))
    drawing.arrow(small.right, times.left, "map")
    drawing.arrow(times.right, large.left)
    drawing.arrow(large.right, (93.5, 20))
    drawing.note((45, 1.5), "3d_joint: both networks end to end")
    drawing.save("dr_unet")


def main() -> None:
    """Draw all four."""
    example = Example()
    for draw in (crocnet, halsr, classifier_guided, dr_unet):
        draw(example)


if __name__ == "__main__":
    main()
