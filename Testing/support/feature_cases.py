"""Small made-up cases of which features are computed."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.imaging.carriers import DeepPatch, PreparedCase


def prepared_case(name: str, image: sitk.Image, tumour: sitk.Image, shell: sitk.Image) -> PreparedCase:
    blank = sitk.Image([160, 160, 1], sitk.sitkFloat32)
    patch = DeepPatch(blank, np.zeros((160, 160), bool), (0, 0, 0), area_mm2=0.0, cut_off_share=0.0)
    return PreparedCase(name, "pyradiomics", 3.0, image, tumour, shell, patch, blank, blank, ())


def mask_image(array: np.ndarray, like: sitk.Image) -> sitk.Image:
    mask = sitk.GetImageFromArray(array.astype(np.uint8))
    mask.CopyInformation(like)
    return mask


def noise_image() -> sitk.Image:
    """int16, 1 mm, odd and even sizes, oblique, with an origin of its own."""
    values = np.random.default_rng(3).normal(-400, 250, (21, 24, 27)).round().astype(np.int16)
    image = sitk.GetImageFromArray(values)
    image.SetOrigin((-31.0, 12.5, 700.25))
    image.SetDirection((0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0))
    return image


def ball(image: sitk.Image, radius: float, inner: float = -1.0) -> sitk.Image:
    z, y, x = np.indices(image.GetSize()[::-1])
    distance = np.sqrt((z - 10) ** 2 + (y - 11.5) ** 2 + (x - 13) ** 2)
    return mask_image((distance <= radius) & (distance > inner), image)
