#!/bin/sh
# PyWavelets filters float32 data with coiflets that are not the rounded float64 ones.
#
# Packages: PyWavelets 1.9.0, numpy 2.4.6, Python 3.11.
# Guess: for float32 data the filter of a wavelet is its float64 filter (`Wavelet.dec_lo`) rounded to float32.
# Seen: so it is for 89 of the 106 discrete wavelets, but for none of the 17 coiflets, whose taps are up to some float32
#   steps off: coif1's largest tap is 0.85257196 where 0.8525720202116004 rounds to 0.852572. The same image as float32
#   and as float64 gives sub-bands that differ by more than rounding, and another implementation that takes `dec_lo` as
#   its filter does not get PyWavelets' float32 values (radiomics filters float32 CTs by coif1).
# Output:
#   17 of 106 wavelets: coif1 coif2 coif3 coif4 coif5 coif6 coif7 coif8 coif9 coif10 coif11 coif12 coif13 coif14 coif15
#   coif16 coif17
#   coif1, largest tap: 0.852571964263916 in float32, 0.8525720202116004 in float64
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet PyWavelets==1.9.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import pywt


def float32_filter(name):
    """The low-pass filter that is applied to float32 data: the response to an impulse."""
    impulse = np.zeros(256, np.float32)
    impulse[128] = 1
    approximation = pywt.swt(impulse, name, level=1)[0][0]
    return approximation[approximation != 0]


off = []
for name in pywt.wavelist(kind="discrete"):
    rounded = np.array(pywt.Wavelet(name).dec_lo, np.float32)
    rounded = rounded[rounded != 0]
    found = float32_filter(name)
    if len(found) != len(rounded) or not np.array_equal(found, rounded):
        off.append(name)
print(len(off), "of", len(pywt.wavelist(kind="discrete")), "wavelets:", *off)
largest = float32_filter("coif1").max()
print("coif1, largest tap:", repr(float(largest)), "in float32,", max(pywt.Wavelet("coif1").dec_lo), "in float64")
assert sorted(off) == sorted(f"coif{n}" for n in range(1, 18)), off
assert np.float32(max(pywt.Wavelet("coif1").dec_lo)) - largest == np.float32(2**-24)
PYTHON
