"""Draw docs/images/flow.svg, the way of the data through the commands: `python docs/figures/draw_flow.py`."""

from __future__ import annotations

from diagram import Area, Diagram

_WIDTH, _GAP = 20.5, 5.3


def main() -> None:
    """Draw and save."""
    drawing = Diagram(27)

    def at(column: int, row: int) -> Area:
        return Area(1 + column * (_WIDTH + _GAP), 15.5 if row == 0 else 2.5, _WIDTH, 7.5)

    upper = [
        drawing.box(at(0, 0), "Labelled images", "a public archive,\nor a table of your own files", "data"),
        drawing.box(at(1, 0), "nnUNet_raw", "images, labels,\ndataset.json, folds by patient", "data"),
        drawing.box(at(2, 0), "nnUNet_preprocessed", "resampled images,\nplans file", "data"),
        drawing.box(at(3, 0), "nnUNet_results", "checkpoints, one folder\na stage", "data"),
    ]
    lower = [
        drawing.box(at(0, 1), "Report", "one HTML page", "result"),
        drawing.box(at(1, 1), "Evaluation", "Dice, HD95, volumes,\nagreement as CSV", "result"),
        drawing.box(at(2, 1), "Results", "label maps, EDV, ESV,\nEF and mass", "result"),
        drawing.box(at(3, 1), "New images", "stacks, cine series,\nDICOM studies", "data"),
    ]
    commands = ("convert", "plan_and_preprocess,\nplan", "train")
    for start, end, command in zip(upper, upper[1:], commands, strict=False):
        drawing.arrow(start.right, end.left)
        drawing.note(((start.right[0] + end.left[0]) / 2, 23.6), command)
    drawing.arrow(upper[3].bottom, lower[2].top)
    for start, end, command in zip(lower[::-1], lower[-2::-1], ("predict", "evaluate", "report"), strict=False):
        drawing.arrow(start.left, end.right)
        drawing.note(((start.left[0] + end.right[0]) / 2, 0.6), command)
    drawing.save("flow")


if __name__ == "__main__":
    main()
