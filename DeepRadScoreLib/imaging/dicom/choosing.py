"""The choice of a series, and of one of its phases; errors list what there is, but do not name the folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.dicom.datasets import text
from DeepRadScoreLib.imaging.dicom.series import FOLDER_MEND, SeriesFiles, SeriesIndex
from DeepRadScoreLib.imaging.dicom.slices import Slice
from DeepRadScoreLib.imaging.dicom.stacking import positions
from DeepRadScoreLib.numerals import counted


def choose_series(index: SeriesIndex, *, series: str | None, referenced: str | None) -> tuple[SeriesFiles, int | None]:
    """The one CT series to read, and the number of its phase where `series` is `UID/2`.

    Raises
    ------
    InputError: none, or several and none chosen; the chosen one is absent or no CT.
    """
    if series is not None:
        uid, _, number = series.strip().partition("/")
        if number and not (number.isdecimal() and int(number) > 0):
            raise InputError(f'"{number}" is no number of a phase', where="--series", mend="write --series UID/2")
        return _existing(index, uid), int(number) if number else None
    if referenced is not None:
        if referenced not in index:
            raise InputError(
                f"the segmentation refers to the series {referenced}, which is not there",
                mend="add that series, or choose another one of the same frame of reference with --series UID"
                + _choices(_candidates(index)),
            )
        return _existing(index, referenced), None
    candidates = _candidates(index)
    if not candidates:
        raise _no_ct(index)
    stacks = [one for one in candidates if _count(one) > 1] or candidates
    if len(stacks) > 1:
        mend = "choose one with --series UID" + _choices(stacks)
        raise InputError(f"there are {len(stacks)} CT series and none was chosen", mend=mend)
    return stacks[0], None


def choose_phase(
    phases: Sequence[Sequence[Slice]], uid: str, number: int | None, sops: Sequence[str]
) -> Sequence[Slice]:
    """The phase of that number, or the one that holds all images to which a segmentation refers.

    Raises
    ------
    InputError: none fits; lists them by number.
    """
    if number is not None and number <= len(phases):
        return phases[number - 1]
    uids = [{one.sop_uid for one in phase} for phase in phases]
    referenced = set(sops) & set().union(*uids)
    fitting = [phase for phase, present in zip(phases, uids, strict=True) if referenced and referenced <= present]
    if number is None and len(fitting) == 1:
        return fitting[0]
    listed = "; ".join(f"{uid}/{n} ({_extent(phase)})" for n, phase in enumerate(phases, start=1))
    raise InputError(
        f"the series holds {len(phases)} phases" + ("" if number is None else f", not {number}"),
        mend=f"choose one with --series: {listed}",
    )


def _extent(phase: Sequence[Slice]) -> str:
    along = positions(phase)
    return f"{counted(len(phase), 'slice')} from {along.min():.1f} to {along.max():.1f} mm"


def _existing(index: SeriesIndex, uid: str) -> SeriesFiles:
    if uid not in index:
        raise InputError(
            f"there is no series {uid}", mend="choose one with --series UID" + _choices(_candidates(index))
        )
    chosen = index[uid]
    if chosen.modality != "CT":
        raise InputError(
            f"the series {uid} is no CT: (0008,0060) Modality is {chosen.modality or 'missing'}",
            mend="choose a CT with --series UID" + _choices(_candidates(index)),
        )
    if not chosen.images:
        raise _no_images(chosen)
    return chosen


def _no_images(chosen: SeriesFiles) -> InputError:
    return InputError(
        f"the series {chosen.uid} holds no CT images, only localizers, parametric maps or other kinds of object, see "
        "(0008,0016) SOPClassUID, (0008,0008) ImageType and (0028,1054) RescaleType",
        mend=FOLDER_MEND,
    )


def _candidates(index: SeriesIndex) -> list[SeriesFiles]:
    return sorted((one for one in index.of_modality("CT") if one.images), key=lambda one: (-_count(one), one.uid))


def _count(series: SeriesFiles) -> int:
    frames = [text(member.header, "NumberOfFrames") for member in series.images]
    return sum(int(count) if count.isdecimal() else 1 for count in frames)


def _choices(candidates: Sequence[SeriesFiles]) -> str:
    listed = []
    for one in candidates:
        thickness = text(one.images[0].header, "SliceThickness")
        listed.append(f"{one.uid} ({counted(_count(one), 'slice')}{f' of {thickness} mm' if thickness else ''})")
    return ": " + "; ".join(listed) if listed else ""


def _no_ct(index: SeriesIndex) -> InputError:
    cts = index.of_modality("CT")
    if cts:
        return _no_images(cts[0])
    kinds = Counter(one.modality or "?" for one in index.values() for _ in one.members)
    found = [f"{count} {modality}" for modality, count in kinds.most_common()]
    others = {
        "empty (0 bytes)": len(index.empty),
        "damaged DICOM": len(index.damaged),
        "not DICOM": index.not_dicom - len(index.zips),
        f"zip archive{'s' * (len(index.zips) != 1)}, to be unpacked first": len(index.zips),
    }
    found += [f"{count} {kind}" for kind, count in others.items() if count]
    what = f"there is no DICOM CT in it, see (0008,0060) Modality (files: {', '.join(found) or 'none'})"
    return InputError(what, mend=FOLDER_MEND)
