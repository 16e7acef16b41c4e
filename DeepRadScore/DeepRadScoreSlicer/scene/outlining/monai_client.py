"""One request to a MONAI Label server, made by a process of its own: it may take minutes, and can be ended.

    PythonSlicer monai_client.py REQUEST.json

The request holds `library` (the folder of the extension's MONAILabelLib), `server`, and for an inference `model`, `ct`
(a NIfTI file) and `params`; `words` are what is printed, in the application's language. The answer is written beside it
as `answer.json`: what the server tells of itself, or `file`, the path of the labelmap that it made (null for none), and
`params`. An error is the last line printed.

The calls follow Project-MONAI/MONAILabel@058ddfc4 (plugins/slicer/MONAILabel/MONAILabelLib/client.py, lines 38-55,
77-90, 118-133, 316-354 and 586-603; the options of the result: MONAILabel.py, lines 2473-2474). The CT goes along with
the request (`file`), which the server does not keep (monailabel/endpoints/infer.py: `run_inference`).
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any

CLIENT_ID = "DeepRadScore"
RESULT = {"result_extension": ".nrrd", "result_dtype": "uint8"}


def main(path: Path) -> None:
    """Answer the request in a file. Raises SystemExit with one line on an error."""
    request = json.loads(path.read_text(encoding="utf-8"))
    words = request["words"]
    sys.path.append(request["library"])
    from MONAILabelLib import MONAILabelClient
    from MONAILabelLib.client import MONAILabelClientException

    client = MONAILabelClient(request["server"], str(path.parent), CLIENT_ID)
    try:
        if client.auth_enabled():
            sys.exit(words["login"])
        answer = _inference(client, request, path.parent) if "ct" in request else client.info()
    except MONAILabelClientException as error:
        sys.exit(" ".join(str(error.msg).split()))
    except OSError as error:
        sys.exit(f"{words['unreachable']} ({error})")
    path.with_name("answer.json").write_text(json.dumps(answer), encoding="utf-8")


def _inference(client: Any, request: dict[str, Any], folder: Path) -> dict[str, Any]:
    print(request["words"]["packing"], flush=True)
    packed = folder / "ct.nii.gz"
    with Path(request["ct"]).open("rb") as plain, gzip.open(packed, "wb", compresslevel=1) as stream:
        shutil.copyfileobj(plain, stream)
    print(request["words"]["waiting"], flush=True)
    try:
        file, params = client.infer(request["model"], "", request["params"] | RESULT, file=str(packed))
    except TypeError:  # its `save_result` on an answer without a file
        file, params = None, {}
    return {"file": file, "params": params}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
