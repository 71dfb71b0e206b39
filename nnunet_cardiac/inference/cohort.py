"""Many cases, one after the other: one that fails does not stop the rest, and one that is finished is not repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from tqdm import tqdm

from nnunet_cardiac.inference.case import Case, Segmented, Segmenter
from nnunet_cardiac.inference.existing import refuse_existing
from nnunet_cardiac.inference.output_names import input_names, refuse_shared_files
from nnunet_cardiac.inference.predictor import CardiacPredictor
from nnunet_cardiac.inference.results import PredictOptions, Result
from nnunet_cardiac.inference.sources import Source


def segment(
    predictor: CardiacPredictor,
    sources: Sequence[Source],
    options: PredictOptions,
    progress: bool = True,
    report: Callable[[Result], None] | None = None,
) -> list[Result]:
    """Segment cases and write label maps with their JSON files.

    While one case is computed, threads read the next and write the one before.

    Args:
        predictor: The model.
        sources: Cases.
        options: What the user asked for.
        progress: Whether to show a bar.
        report: Called with each result when its files are written, in one thread.

    Returns:
        One result for each series.

    Raises:
        UserError: If output exists and may not be replaced; nothing is computed then.
    """
    options = prepared(sources, options)
    segmenter = Segmenter(predictor, options, progress)
    results: list[Future[Result]] = []
    bar = tqdm(total=len(sources), desc="predict", unit="case", disable=not progress)
    with bar, ThreadPoolExecutor(1) as writer:
        for source, reading in _read_ahead(segmenter, sources):
            for one in segmenter.segment(source, reading.result):
                results.append(writer.submit(_written, segmenter, one, report))
            bar.update()
        return [result.result() for result in results]


def prepared(sources: Sequence[Source], options: PredictOptions) -> PredictOptions:
    """Make the folder for the results, and refuse what would be lost in it.

    Args:
        sources: Cases.
        options: What the user asked for.

    Returns:
        The options with the inputs that lie in the folder.

    Raises:
        UserError: If an output would replace an input, a file of the user's, or a result that is to be kept.
    """
    options.output.mkdir(parents=True, exist_ok=True)
    options = replace(options, inputs=options.inputs | input_names(sources, options.output))
    refuse_shared_files(sources, options.output, options.dicom_seg)
    refuse_existing(sources, options)
    return options


def _written(segmenter: Segmenter, one: Segmented | Result, report: Callable[[Result], None] | None) -> Result:
    result = segmenter.write(one)
    if report is not None:
        report(result)
    return result


def _read_ahead(segmenter: Segmenter, sources: Sequence[Source]) -> Iterator[tuple[Source, Future[Case]]]:
    """Yield each source with the future of its series; the next is read meanwhile."""
    with ThreadPoolExecutor(1) as reader:
        following = reader.submit(segmenter.read, sources[0]) if sources else None
        for number, source in enumerate(sources):
            reading = following
            assert reading is not None
            reading.exception()  # waits; the consumer asks again
            following = reader.submit(segmenter.read, sources[number + 1]) if number + 1 < len(sources) else None
            yield source, reading
