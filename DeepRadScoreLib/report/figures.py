"""Pictures of one case as PNG: the slice, a close-up of the tumour, the deep patch, and Grad-CAM over it.

All show one native slice in LPS order: columns run to the patient's left and rows to the back, so that the left of a
picture is the patient's right. Aspect and scale bar are physical (mm). Outlines follow the edges of the voxels.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.imaging import DeepPatch, PreparedCase

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

LUNG_WINDOW = (-1350.0, 150.0)
NETWORK_WINDOW = (-1000.0, 400.0)
TUMOUR_COLOUR = "#19d3ff"
SHELL_COLOUR = "#ffb000"
HEAT_MAP = "inferno"
CHANGES_MAP = "PuOr"
"""From orange, towards the negative class, over white to violet, towards the positive one."""
MIN_HEAT = 0.3
"""Share of the map's maximum from which on Grad-CAM is drawn."""
HEAT_TICKS = (MIN_HEAT, 0.5, 0.75, 1)
ZOOM_MARGIN_MM = 20.0
DPI = 100
READING_WIDTH = 420
"""Width in pixels at which a picture is usually read; text and lines are scaled to it."""
BAR_LENGTHS_MM = (1, 2, 5, 10, 20, 50, 100, 200)


@dataclass(frozen=True)
class View:
    """A rectangle of a slice, to be drawn.

    Attributes
    ----------
    hu: (rows, columns), HU.
    tumour, with_shell: (rows, columns), bool: the native tumour; tumour and shell of the 1 mm lattice together.
    spacing: mm along (x, y).
    left, top: index of the first column and row in the whole slice or patch.
    """

    hu: np.ndarray
    tumour: np.ndarray
    with_shell: np.ndarray
    spacing: tuple[float, float]
    left: int = 0
    top: int = 0


def mask_on_grid(mask: sitk.Image, grid: sitk.Image) -> np.ndarray:
    """A mask at the voxel centres of another image by nearest neighbour, 0 outside: bool, (z, y, x)."""
    resampled = sitk.Resample(mask, grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8)
    return sitk.GetArrayFromImage(resampled) != 0


def outline(mask: np.ndarray) -> np.ndarray:
    """The pixel edges between inside and outside of a 2-D mask; the outside begins at the array's edge at the latest.

    Returns
    -------
    (n, 2, 2): n lines of two points (x, y) in pixels, pixel centres at whole numbers.
    """
    padded = np.pad(mask.astype(np.int8), 1)
    rows, columns = np.nonzero(np.diff(padded, axis=1)[1:-1])
    vertical = [[columns - 0.5, rows - 0.5], [columns - 0.5, rows + 0.5]]
    rows, columns = np.nonzero(np.diff(padded, axis=0)[:, 1:-1])
    horizontal = [[columns - 0.5, rows - 0.5], [columns + 0.5, rows - 0.5]]
    return np.concatenate([np.moveaxis(np.array(edges), 2, 0) for edges in (vertical, horizontal)])


def slice_view(prepared: PreparedCase) -> View:
    """The whole native slice of the deep patch, with the shell of the 1 mm lattice on its grid."""
    grid = prepared.slice_ct
    return View(
        hu=sitk.GetArrayFromImage(grid)[0].astype(float),
        tumour=sitk.GetArrayFromImage(prepared.slice_tumour)[0] != 0,
        with_shell=_with_shell(prepared, grid),
        spacing=grid.GetSpacing()[:2],
    )


def zoom_view(prepared: PreparedCase) -> View:
    """`slice_view` cut to tumour and shell with 20 mm around them, about square in mm."""
    whole = slice_view(prepared)
    rows, columns = np.nonzero(whole.tumour | whole.with_shell)
    size = np.array(whole.hu.shape)
    step = np.array(whole.spacing[::-1])
    low, high = np.array([rows.min(), columns.min()]), np.array([rows.max(), columns.max()]) + 1
    half_mm = ((high - low) * step).max() / 2 + ZOOM_MARGIN_MM
    first = np.maximum(np.floor((low + high) / 2 - half_mm / step), 0).astype(int)
    last = np.minimum(np.ceil((low + high) / 2 + half_mm / step), size).astype(int)
    inside = np.s_[first[0] : last[0], first[1] : last[1]]
    return View(
        whole.hu[inside], whole.tumour[inside], whole.with_shell[inside], whole.spacing, int(first[1]), int(first[0])
    )


def patch_view(prepared: PreparedCase) -> View:
    """The deep patch, 160 x 160 native pixels."""
    patch = prepared.patch
    with_shell = _with_shell(prepared, patch.image)
    return View(patch.hu.astype(float), patch.tumour, with_shell, patch.image.GetSpacing()[:2])


def _with_shell(prepared: PreparedCase, grid: sitk.Image) -> np.ndarray:
    return mask_on_grid(sitk.Or(prepared.tumour, prepared.peritumoral), grid)[0]


def slice_picture(prepared: PreparedCase, *, label: str | None = None, width: int = 840) -> bytes:
    """The whole slice in the lung window with outlines, and the deep patch as a frame. PNG."""
    view = slice_view(prepared)
    figure, axes = _draw_view(view, LUNG_WINDOW, width, label)
    from matplotlib.patches import Rectangle

    i, j = prepared.patch.centre_ijk[:2]
    side = prepared.patch.tumour.shape[0]
    corner = (i - side // 2 - 0.5, j - side // 2 - 0.5)
    axes.add_patch(Rectangle(corner, side, side, fill=False, edgecolor="#c8ccd2", linewidth=2, linestyle=(0, (4, 3))))
    return _png(figure)


def zoom_picture(prepared: PreparedCase, *, label: str | None = None, width: int = 640) -> bytes:
    """A close-up of tumour and shell in the lung window, with outlines. PNG."""
    return _png(_draw_view(zoom_view(prepared), LUNG_WINDOW, width, label)[0])


def patch_picture(prepared: PreparedCase, *, label: str | None = None, width: int = 560) -> bytes:
    """The deep patch in the network's window, with outlines. PNG."""
    return _png(_draw_view(patch_view(prepared), NETWORK_WINDOW, width, label)[0])


def gradcam_picture(prepared: PreparedCase, heat: np.ndarray, *, label: str | None = None, width: int = 560) -> bytes:
    """Grad-CAM over the deep patch, from 0.3 of its maximum on, with outlines and a colour bar. PNG.

    Parameters
    ----------
    heat: float array (160, 160) in 0..1 on the pixels of the patch.
    """
    bar = width // 7
    figure, axes = _draw_view(patch_view(prepared), NETWORK_WINDOW, width, label, right=bar)
    alpha = np.where(heat >= MIN_HEAT, 0.6, 0.0)
    axes.imshow(heat, cmap=HEAT_MAP, vmin=0, vmax=1, alpha=alpha, aspect="auto", interpolation="nearest", zorder=1.5)
    _draw_colour_bar(figure, bar, heat_colours(), HEAT_TICKS)
    return _png(figure)


def occlusion_picture(
    prepared: PreparedCase, change: np.ndarray, *, label: str | None = None, width: int = 560
) -> bytes:
    """An occlusion map over the deep patch, drawn stronger where it is larger, with outlines and a colour bar. PNG.

    Parameters
    ----------
    change: float array (160, 160) on the pixels of the patch, log-odds.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    largest = float(np.abs(change).max()) or 1.0
    bar = width // 7
    figure, axes = _draw_view(patch_view(prepared), NETWORK_WINDOW, width, label, right=bar)
    scale = Normalize(-largest, largest)
    alpha = 0.75 * np.abs(change) / largest
    axes.imshow(change, cmap=CHANGES_MAP, norm=scale, alpha=alpha, aspect="auto", interpolation="nearest", zorder=1.5)
    _draw_colour_bar(figure, bar, ScalarMappable(scale, CHANGES_MAP), (-largest, 0, largest))
    return _png(figure)


def patch_png(patch: DeepPatch) -> bytes:
    """The deep patch alone, 160 x 160 pixels of 8 bits: -1000 HU black, 400 HU white. PNG."""
    from PIL import Image

    low, high = NETWORK_WINDOW
    grey = np.rint(np.clip((patch.hu - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "png")
    return stream.getvalue()


def _draw_view(
    view: View, window: tuple[float, float], width: int, label: str | None, *, right: int = 0
) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows, columns = view.hu.shape
    height = max(round(width * rows * view.spacing[1] / (columns * view.spacing[0])), 1)
    figure = Figure(figsize=((width + right) / DPI, height / DPI), dpi=DPI, facecolor="black")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, width / (width + right), 1))
    axes.imshow(view.hu, cmap="gray", vmin=window[0], vmax=window[1], aspect="auto", interpolation="bilinear")
    scale = width / READING_WIDTH
    _draw_outline(axes, view.with_shell, SHELL_COLOUR, 1.1 * scale)
    _draw_outline(axes, view.tumour, TUMOUR_COLOUR, 1.5 * scale)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_axis_off()
    _draw_directions(axes, scale)
    _draw_scale_bar(axes, view, scale)
    if label is not None:
        _draw_text(axes, 0.5, 0.985, label, ha="center", va="top", color="#ffd166", fontsize=9 * scale)
    return figure, axes


def _draw_outline(axes: Axes, mask: np.ndarray, colour: str, width: float) -> None:
    from matplotlib.collections import LineCollection

    for line_colour, line_width in (("black", 1.9 * width), (colour, width)):
        lines = LineCollection(
            list(outline(mask)), colors=line_colour, linewidths=line_width, capstyle="projecting", zorder=2
        )
        axes.add_collection(lines, autolim=False)


def _draw_directions(axes: Axes, scale: float) -> None:
    for x, y, letter in ((0.03, 0.5, "R"), (0.97, 0.5, "L"), (0.5, 0.925, "A"), (0.5, 0.04, "P")):
        _draw_text(axes, x, y, letter, ha="center", va="center", color="white", fontsize=11 * scale, weight="bold")


def _draw_scale_bar(axes: Axes, view: View, scale: float) -> None:
    """A bar of a round length of about a fifth of the picture's width, at the lower left."""
    extent = view.hu.shape[1] * view.spacing[0]
    length = max((mm for mm in BAR_LENGTHS_MM if mm <= 0.28 * extent), default=BAR_LENGTHS_MM[0])
    start, y = 0.045, 0.04
    end = start + length / extent
    for colour, line_width in (("black", 4.6), ("white", 2.4)):
        axes.plot([start, end], [y, y], color=colour, linewidth=line_width * scale, transform=axes.transAxes, zorder=4)
    _draw_text(axes, start, y + 0.015, f"{length} mm", ha="left", va="bottom", color="white", fontsize=10 * scale)


def heat_colours() -> ScalarMappable:
    """The colours of Grad-CAM from `MIN_HEAT` to 1, for a colour bar with `HEAT_TICKS`."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    drawn = ListedColormap(colormaps[HEAT_MAP](np.linspace(MIN_HEAT, 1, 256)))
    return ScalarMappable(Normalize(MIN_HEAT, 1), drawn)


def _draw_colour_bar(figure: Figure, bar: int, colours: ScalarMappable, ticks: Sequence[float]) -> None:
    width = figure.get_figwidth() * DPI
    axes = figure.add_axes((1 - 0.97 * bar / width, 0.12, 0.14 * bar / width, 0.76))
    colour_bar = figure.colorbar(colours, cax=axes, ticks=ticks, format="%.2g")
    axes.tick_params(colors="white", labelsize=8.5 * (width - bar) / READING_WIDTH, length=3)
    colour_bar.outline.set_edgecolor("#c8ccd2")


def _draw_text(axes: Axes, x: float, y: float, text: str, **style: Any) -> None:
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.5, foreground="black")]
    axes.text(x, y, text, transform=axes.transAxes, path_effects=halo, zorder=5, family="DejaVu Sans", **style)


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", facecolor=figure.get_facecolor(), metadata={"Software": None})
    return stream.getvalue()
