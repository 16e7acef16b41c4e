"""Which series, and which of several phases in it, is the CT that is meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from DeepRadScoreLib.errors import InputError, Where
from DeepRadScoreLib.imaging.dicom.datasets import text
from DeepRadScoreLib.imaging.dicom.series import FOLDER_MEND, SeriesFiles, SeriesIndex
from DeepRadScoreLib.imaging.dicom.slices import Slice
from DeepRadScoreLib.imaging.dicom.stacking import positions


def choose_series(index: SeriesIndex, *, series: str | None, referenced: str | None) -> tuple[SeriesFiles, int | None]:
    """The one CT series that is meant, and the number of its phase where `series` says `UID/2`.

    Raises
    ------
    InputError: none, or several and none chosen; the one chosen is absent or no CT.
    """
    where = index.source
    if series is not None:
        uid, _, number = series.strip().partition("/")
        if number and not (number.isdecimal() and int(number) > 0):
            raise InputError(f'"{number}" is no number of a phase', where="--series", mend="write --series UID/2")
        return _existing(index, uid, where), int(number) if number else None
    if referenced is not None:
        if referenced not in index:
            raise InputError(
                f"the segmentation refers to the series {referenced}, which is not there",
                where=where,
                mend="add that series, or choose another one of the same frame of reference with --series UID"
                + _choices(index),
            )
        return _existing(index, referenced, where), None
    candidates = _candidates(index)
    if not candidates:
        raise _no_ct(index, where)
    stacks = [one for one in candidates if _count(one) > 1] or candidates
    if len(stacks) > 1:
        raise InputError(
            f"there are {len(stacks)} CT series and none was chosen",
            where=where,
            mend="choose one with --series UID" + _choices(index),
        )
    return stacks[0], None


def choose_phase(
    parts: Sequence[Sequence[Slice]], uid: str, number: int | None, sops: Sequence[str], where: Where
) -> Sequence[Slice]:
    """The phase of that number, or the one that holds all the images a segmentation refers to.

    Raises
    ------
    InputError: none fits; lists them by number.
    """
    if number is not None and number <= len(parts):
        return parts[number - 1]
    of_parts = [{one.sop_uid for one in part} for part in parts]
    meant = set(sops) & set().union(*of_parts)
    fitting = [part for part, uids in zip(parts, of_parts, strict=True) if meant and meant <= uids]
    if number is None and len(fitting) == 1:
        return fitting[0]
    listed = "; ".join(f"{uid}/{n} ({_extent(part)})" for n, part in enumerate(parts, start=1))
    raise InputError(
        f"the series holds {len(parts)} phases" + ("" if number is None else f", not {number}"),
        where=where,
        mend=f"choose one with --series: {listed}",
    )


def _extent(part: Sequence[Slice]) -> str:
    along = positions(part)
    return f"{len(part)} slices from {along.min():.1f} to {along.max():.1f} mm"


def _existing(index: SeriesIndex, uid: str, where: Where) -> SeriesFiles:
    if uid not in index:
        raise InputError(
            f"there is no series {uid}", where=where, mend="choose one with --series UID" + _choices(index)
        )
    chosen = index[uid]
    if chosen.modality != "CT":
        raise InputError(
            f"the series {uid} is no CT: (0008,0060) Modality is {chosen.modality or 'missing'}",
            where=where,
            mend="choose a CT with --series UID" + _choices(index),
        )
    if not chosen.images:
        raise _no_images(chosen, where)
    return chosen


def _no_images(chosen: SeriesFiles, where: Where) -> InputError:
    return InputError(
        f"the series {chosen.uid} holds no CT images, only localizers or other kinds of object, see (0008,0016) "
        "SOPClassUID and (0008,0008) ImageType",
        where=where,
        mend=FOLDER_MEND,
    )


def _candidates(index: SeriesIndex) -> list[SeriesFiles]:
    return sorted((one for one in index.of_modality("CT") if one.images), key=lambda one: (-_count(one), one.uid))


def _count(series: SeriesFiles) -> int:
    frames = [text(member.header, "NumberOfFrames") for member in series.images]
    return sum(int(count) if count.isdecimal() else 1 for count in frames)


def _choices(index: SeriesIndex) -> str:
    listed = []
    for one in _candidates(index):
        thickness = text(one.images[0].header, "SliceThickness")
        listed.append(f"{one.uid} ({_count(one)} slices{f' of {thickness} mm' if thickness else ''})")
    return ": " + "; ".join(listed) if listed else ""


def _no_ct(index: SeriesIndex, where: Where) -> InputError:
    cts = index.of_modality("CT")
    if cts:
        return _no_images(cts[0], where)
    kinds = Counter(one.modality or "?" for one in index.values() for _ in one.members)
    found = [f"{count} {modality}" for modality, count in kinds.most_common()]
    for count, kind in (
        (len(index.empty), "empty (0 bytes)"),
        (len(index.damaged), "damaged DICOM"),
        (index.not_dicom - len(index.zips), "not DICOM"),
        (len(index.zips), "zip archives, to be unpacked first"),
    ):
        if count:
            found.append(f"{count} {kind}")
    return InputError(
        f"there is no DICOM CT in it, see (0008,0060) Modality (files: {', '.join(found) or 'none'})",
        where=where,
        mend=FOLDER_MEND,
    )
