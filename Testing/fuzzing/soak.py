"""Every parser under fuzzing for so many minutes of processor time: half of them bytes, half of them structure.

    python Testing/fuzzing/soak.py [--minutes 10] [--only cohort] [--seed 0] [--out fuzz-out]

Bytes are mutated by atheris (libFuzzer), guided by the branches of the library that they reach; structure comes from
hypothesis. Each parser runs in processes of its own. Inputs that break the contract are left in the output folder with
the traceback, one for each place; so is one that ends its process, takes too long or too much memory. Exit code 1 if
there is one.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "DeepRadScore"), str(ROOT / "Testing")]
HALVES = ("bytes", "structure")
MAX_INPUT_S = 60
MAX_MB = 2048
MAX_BYTES = 100_000
BATCH = 100


class Contract:
    """Runs a target and keeps one input for each place in which the contract is broken."""

    def __init__(self, name: str, out: Path, minutes: float) -> None:
        from fuzzing.contract import check
        from fuzzing.targets import TARGETS

        self.target, self._check, self._out = TARGETS[name], check, out
        self._end = time.process_time() + 60 * minutes
        self._folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self._begun = time.process_time()
        self.inputs = self.read = 0
        self._places: set[str] = set()

    def __call__(self, data: bytes) -> None:
        self.inputs += 1
        try:
            self.read += self._check(self.target, data, Path(self._folder.name))
        except Exception as error:
            self._keep(error, data)

    @property
    def is_over(self) -> bool:
        """Whether the processor time is used up."""
        return time.process_time() >= self._end

    def say(self) -> None:
        """Print the counts, at the end."""
        minutes = (time.process_time() - self._begun) / 60
        print(f"{minutes:.1f} min, {self.inputs} inputs ({self.read} of them read), {len(self._places)} places")

    def _keep(self, error: Exception, data: bytes) -> None:
        raised = traceback.extract_tb((error.__cause__ or error).__traceback__)
        frames = [frame for frame in raised if "DeepRadScore" in frame.filename]
        at = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else repr(error)
        place = f"{type(error).__name__} in {at}"
        if place not in self._places:
            self._places.add(place)
            name = hashlib.sha256(place.encode()).hexdigest()[:12]
            (self._out / f"{self.target.name}-{name}").write_bytes(data)
            text = "".join(traceback.format_exception(error))
            (self._out / f"{self.target.name}-{name}.txt").write_text(f"{place}\n\n{text}", errors="backslashreplace")
            print(f"  {self.target.name}: {place}: {str(error)[:200]!r}", file=sys.stderr, flush=True)


def fuzz_bytes(contract: Contract, seed: int, out: Path) -> None:
    """Mutate the target's seeds with libFuzzer until the time is over; ends the process."""
    import atheris

    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(contract.target.seeds()):
            (Path(corpus) / str(number)).write_bytes(data)

        def one(data: bytes) -> None:
            contract(data)
            if contract.is_over:
                contract.say()
                sys.stdout.flush()
                os._exit(0)

        options = (
            *(f"-seed={seed + 1}", f"-max_len={MAX_BYTES}", "-len_control=0", "-verbosity=0"),
            *(f"-timeout={MAX_INPUT_S}", f"-rss_limit_mb={MAX_MB}", f"-artifact_prefix={out}/{contract.target.name}-"),
        )
        atheris.Setup([sys.argv[0], corpus, *options], one)
        atheris.Fuzz()


def fuzz_structure(contract: Contract, seed: int) -> None:
    """Draw inputs from the target's strategy until the time is over."""
    import hypothesis

    checks = tuple(hypothesis.HealthCheck)
    phases = [hypothesis.Phase.generate]
    settings = hypothesis.settings(
        max_examples=BATCH, deadline=None, database=None, suppress_health_check=checks, phases=phases
    )

    def one(data: bytes) -> None:
        if not contract.is_over:
            contract(data)

    while not contract.is_over:
        hypothesis.seed(seed)(settings(hypothesis.given(contract.target.inputs())(one)))()
        seed += 1
    contract.say()


def child(name: str, half: str, minutes: float, seed: int, out: Path) -> None:
    """One half of a target, in this process."""
    warnings.simplefilter("ignore")
    if half == "structure":
        fuzz_structure(Contract(name, out, minutes), seed)
        return
    import atheris

    with atheris.instrument_imports(include=["DeepRadScoreLib", "DeepRadScoreSlicer"]):
        contract = Contract(name, out, minutes)
        for data in contract.target.seeds():
            contract(data)
    fuzz_bytes(contract, seed, out)


def main() -> None:
    """Print one line for each parser; exit code 1 if the contract was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="of processor time for each parser")
    parser.add_argument("--only", action="append", metavar="PARSER", help="may be given several times")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz-out"))
    parser.add_argument("--half", choices=HALVES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.half:
        child(options.only[0], options.half, options.minutes, options.seed, options.out)
        return
    before = set(options.out.iterdir())
    from fuzzing.targets import TARGETS

    for name in options.only or TARGETS:
        for half in HALVES:
            call = [sys.executable, __file__, "--only", name, "--half", half, "--minutes", str(options.minutes / 2)]
            call += ["--seed", str(options.seed), "--out", str(options.out)]
            done = subprocess.run(call, stdout=subprocess.PIPE, text=True, env=_environment(), check=False)
            said = done.stdout.strip().splitlines()[-1:] or ["no counts"]
            print(f"{name}, {half}: {said[0]}" + (f", exit {done.returncode}" if done.returncode else ""), flush=True)
            if done.returncode:
                (options.out / f"{name}-{half}-ended").touch()
    sys.exit(bool(set(options.out.iterdir()) - before))


def _environment() -> dict[str, str]:
    key = {"DEEPRADSCORE_KEY": os.environ.get("DEEPRADSCORE_KEY", str(Path(tempfile.gettempdir()) / "fuzz.key"))}
    return os.environ | key | {"OMP_NUM_THREADS": "1"}


if __name__ == "__main__":
    main()
