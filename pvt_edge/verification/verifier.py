"""verify: do a bundle's artifacts give the answers of a reference? No labels, no torch."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.arguments import (
    check_keywords,
    check_kind,
    check_names,
    check_number,
    check_path,
    check_text,
    check_whole,
)
from pvt_edge.bundle import Bundle, find
from pvt_edge.bundle.schema import PostprocessSpec
from pvt_edge.errors import BundleError, PvtEdgeError, RuntimeInputError, RuntimeMissingError
from pvt_edge.options.run import Limits
from pvt_edge.pictures.resizing import check_pixel_max
from pvt_edge.predictor.frames import check_source
from pvt_edge.sources import SourceOptions, open_source
from pvt_edge.tasks import get_task
from pvt_edge.verification.checks import check_comparable, check_limits, other_postprocessing, tolerance
from pvt_edge.verification.contact_sheet import ContactSheet
from pvt_edge.verification.contender import Contender
from pvt_edge.verification.page import VERIFIED, write_verification
from pvt_edge.verification.report import VerifyReport
from pvt_edge.verification.side import (
    Side,
    choose_artifacts,
    drawn_frames,
    in_input_pixels,
    open_reference,
    open_side,
    picture_name,
    shared_names,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pvt_edge.sources import Frame, Source

PICTURES = 128  # drawn of a source that has more
Progress = Callable[[int, "int | None"], None]  # pictures done, pictures in all


def verify(
    bundle: Bundle | str | PathLike[str],
    *,
    images: "str | Path | Sequence[str | Path] | Source",
    artifacts: Sequence[str] = (),
    reference: str | None = None,
    against: Bundle | str | PathLike[str] | None = None,
    limit: int = PICTURES,
    seed: int = 0,
    conf: float | None = None,
    device: str = "auto",
    threads: int | None = None,
    pixel_max: "str | float | None" = None,
    out: "str | PathLike[str] | None" = None,
    progress: Progress | None = None,
    **limits: "Unpack[Limits]",
) -> VerifyReport:
    """The report on whether artifacts give the reference's answers on `images`: true within tolerance.

    Each side prepares the pictures as its own bundle says, so that what `model.json` says is compared too. An
    artifact whose runtime is not here is listed as skipped, unless it was asked for by name.

    Args:
        bundle: A bundle, or its folder.
        images: What a source reads, without labels: a folder, pattern, list or video.
        artifacts: Such as "openvino:int8", or all of "openvino"; by default all.
        reference: Such as "openvino:fp32"; by default the first fp32 that runs here.
        against: The bundle that the reference is of, or its folder; by default `bundle`.
        limit: How many of the pictures are taken at most; of more they are drawn.
        seed: By which they are.
        conf: A detector's threshold, 0 to 1; by default the bundle's.
        device: As of `load`.
        threads: As of `load`.
        pixel_max: What is white in pictures of 16 bits; by default the bundle's.
        out: A folder for report.md, report.json and contact_sheet.jpg, replaced whole.
        progress: Is told of each picture: (pictures done, pictures in all or None).
        **limits: In place of the precision's own, of the task's figures: `min_f1`, `max_box_px` and `max_score_drift`
            of detectors, `min_top1` and `min_cosine` of classifiers, `min_pixels`, `min_inside`, `min_boundary` and
            `min_iou` of segmenters, `min_cosine` and `max_feature_error` of features.

    Returns:
        The report, which is true when all artifacts are within tolerance.

    Raises:
        DataError: Without a readable picture.
        RuntimeMissingError: Where nothing can be compared.
        BundleError: For bundles that are broken or not of one model.
        UnknownNameError: For a name that does not exist.
        RuntimeInputError: For a number out of range, and limits of another task.
        ArgumentError: For keywords that do not exist, and arguments of the wrong kind.
    """
    ours = find(bundle)
    base = ours if against is None else find(against)
    check_keywords("verify()", limits, ("images", *(verify.__kwdefaults__ or ()), *Limits.__annotations__))
    check_whole("verify()", limit=limit, seed=seed)
    check_whole("verify()", optional=True, threads=threads)
    check_number("verify()", optional=True, conf=conf)
    check_text("verify()", device=device)
    check_kind("verify()", "reference", reference, str, "such as openvino:fp32")
    check_source("verify()", images)
    artifacts = check_names("verify()", "artifacts", artifacts)
    given = check_limits(ours.manifest.task, limits)
    if limit < 1:
        raise RuntimeInputError(f"limit must be at least 1 picture, got {limit}")
    if seed < 0:
        raise RuntimeInputError(f"seed must be at least 0, got {seed}")
    if conf is not None and not 0 <= conf <= 1:
        raise RuntimeInputError(f"conf must be a number from 0 to 1, got {conf!r}")
    if base is not ours:
        check_comparable(ours, base)
    notes = other_postprocessing(ours, base, conf)
    folder = VERIFIED.check(check_path("verify()", "out", out, "verified/")) if out is not None else None
    post = base.manifest.postprocess or PostprocessSpec()
    post = post if conf is None else post.model_copy(update={"conf": conf})
    with ExitStack() as stack:
        white = check_pixel_max(pixel_max if pixel_max is not None else ours.manifest.input.pixel_max)
        source = stack.enter_context(open_source(images, SourceOptions(pixel_max=white)))
        baseline = open_reference(base, reference, device, threads)
        stack.callback(baseline.predictor.close)
        skipped: list[tuple[str, str]] = []
        contenders: list[Contender] = []
        chosen = choose_artifacts(ours, artifacts)
        for runtime, precision in _without(baseline, chosen, artifacts) if base is ours else chosen:
            name = f"{runtime} {precision}"
            try:
                side = open_side(ours, runtime, precision, device, threads)
            except RuntimeMissingError as error:
                if artifacts:  # asked for by name: going on without it would be a silent pass
                    raise
                skipped.append((name, str(error)))
            except PvtEdgeError as error:
                allowed = tolerance(ours.manifest.task, precision, given=given)
                contenders.append(Contender(name, allowed, None, f"cannot be run: {error}", notes))
            else:
                stack.callback(side.predictor.close)
                allowed = tolerance(ours.manifest.task, side.looseness, baseline.looseness, given=given)
                contenders.append(Contender(name, allowed, side, notes=notes))
        if not contenders:
            raise RuntimeMissingError(_nothing_to_compare(ours, baseline, skipped))
        sheet = ContactSheet(base.manifest, baseline.name)
        total = min(limit, source.frame_count) if source.frame_count else None
        done, shared = 0, shared_names(source)
        for frame in drawn_frames(source, limit, seed):
            _compare_on(frame, picture_name(frame, source, shared), baseline, contenders, post, sheet)
            done += 1
            if progress:
                progress(done, total)
        report = VerifyReport(
            bundle=ours.folder,
            reference=baseline.name,
            reference_bundle=base.folder,
            task=ours.manifest.task,
            source=source.name,
            pictures=done,
            pictures_there=source.frame_count,
            seed=seed,
            conf=post.conf if get_task(ours.manifest.task).has_thresholds else None,
            artifacts=tuple(contender.row(post.conf) for contender in contenders),
            skipped=tuple(skipped),
            unread=tuple(source.skipped),
            folder=folder,
        )
    if folder is not None:
        write_verification(folder, report, sheet.picture(done))
    return report


def _compare_on(
    frame: "Frame",
    picture: str,
    baseline: Side,
    contenders: Sequence[Contender],
    post: PostprocessSpec,
    sheet: ContactSheet,
) -> None:
    """Every contender's answer to one picture against the reference's; the worst of them is offered to the sheet."""
    prepared = baseline.predictor.prepare(frame)
    placement = prepared.placement
    try:
        reference = in_input_pixels(baseline.answer(prepared), placement)
    except BundleError as error:
        raise BundleError(f"the reference {baseline.name} failed on {picture}: {error}") from error
    worst, worst_severity = None, -1.0
    for contender in contenders:
        if contender.side is None:
            continue
        ours = prepared if contender.side.bundle is baseline.bundle else contender.side.predictor.prepare(frame)
        difference = contender.judge(picture, ours, reference, placement, post)
        if difference is not None and (severity := difference.severity(contender.limits)) > worst_severity:
            worst, worst_severity = (contender, difference), severity
    if worst is not None:
        contender, difference = worst
        answers = (contender.latest, reference)
        # maps lie over the input, which may be a part of the picture
        image = prepared.input if get_task(baseline.bundle.manifest.task).maps else prepared.image
        sheet.offer(picture, image, placement.scale_xy, contender.name, difference, contender.limits, answers)


def _without(baseline: Side, chosen: Sequence[tuple[str, str]], artifacts: Sequence[str]) -> list[tuple[str, str]]:
    """What of the `chosen` is not the reference itself. Raises `RuntimeInputError` where that was asked for: by its
    name in `artifacts`, or with a runtime that has nothing else."""
    others = [pair for pair in chosen if " ".join(pair) != baseline.name]
    itself = baseline.name.replace(" ", ":")
    if artifacts and len(others) < len(chosen) and (itself in artifacts or not others):
        raise RuntimeInputError(
            f"{itself} is the reference, which others are compared with: choose another with --reference, or leave it "
            "out of --artifact"
        )
    return others


def _nothing_to_compare(bundle: Bundle, baseline: Side, skipped: Sequence[tuple[str, str]]) -> str:
    if skipped:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped)
        return f"nothing of {bundle.folder} can be compared with {baseline.name} here: {reasons}"
    return (
        f"{bundle.folder} has no artifact to compare with its {baseline.name}: export more formats or precisions, or "
        "compare with another bundle with --against"
    )
