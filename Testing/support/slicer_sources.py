"""Checks the list of Slicer's names against snapshots of the sources, or adds names to it.

    python Testing/support/slicer_sources.py --sources SLICER.git --repo commontk/CTK=CTK.git [--add ROWS.csv …]

Each row of slicer_api.csv holds a name, the file that declares it, a tag and the declaring line as it stands there. A
file is named by its path in Slicer's sources, or by `owner/name:path` in another repository, given by --repo (any git
directory). A tag is a tag or branch of Slicer's, a branch with the commit that was read: `main@583e9b37d5`. ctk is
read at the commit that Slicer's own SuperBuild/External_CTK.cmake names at that tag; another repository at the commit
that stands behind its name: `owner/name@commit:path`. Prints counts; exit code 1 if a line is not in its file.

--add reads rows `name,file,regex` and writes one row for each tag, with the first line of the file that the regex
finds. A name that only one tag has gets one row, and is printed.
"""

from __future__ import annotations

import argparse
import csv
import functools
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

LIST = Path(__file__).parents[1] / "Slicer" / "slicer_api.csv"
COLUMNS = ("name", "file", "tag", "line")
TAGS = ("v5.10.0", "main@583e9b37d5")
CTK = "commontk/CTK"


class Sources:
    """The files of some git directories at the commits that a row means."""

    def __init__(self, slicer: Path, others: dict[str, Path]) -> None:
        self._folders = {"": slicer, **others}

    @functools.cache  # noqa: B019
    def lines(self, file: str, tag: str) -> tuple[str, ...]:
        """The file's lines without leading and trailing blanks; empty if it is not there."""
        repository, _, path = file.rpartition(":")
        repository, _, commit = repository.partition("@")
        if repository not in self._folders:
            raise SystemExit(f"{file}: give the sources by --repo {repository}=FOLDER")
        if repository == CTK:
            commit = self._ctk_commit(tag)
        elif not repository:
            commit = tag.rpartition("@")[2]
        text = _git(self._folders[repository], "show", f"{commit}:{path}")
        return tuple(line.strip() for line in text.splitlines())

    @functools.cache  # noqa: B019
    def _ctk_commit(self, tag: str) -> str:
        found = re.search(r"[0-9a-f]{40}", "\n".join(self.lines("SuperBuild/External_CTK.cmake", tag)))
        if found is None:
            raise SystemExit(f"{tag}: no commit of CTK in SuperBuild/External_CTK.cmake")
        return found[0]


def _git(folder: Path, *command: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *command], capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def write(rows: list[dict[str, str]]) -> None:
    unique = {(row["name"], row["file"], row["tag"]): row for row in rows}
    ordered = sorted(unique.values(), key=lambda r: (r["name"].lower(), r["name"], TAGS.index(r["tag"]), r["file"]))
    with LIST.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(ordered)


def add(paths: list[Path], sources: Sources) -> int:
    """Rows of `name,file,regex` become quoted rows; the number of names that no tag has."""
    rows, lost = read(LIST) if LIST.exists() else [], 0
    for wanted in (row for path in paths for row in read(path)):
        name, file = wanted["name"].strip(), wanted["file"].strip()
        found = {}
        for tag in TAGS:
            line = next((line for line in sources.lines(file, tag) if re.search(wanted["regex"].strip(), line)), None)
            if line is not None:
                found[tag] = line
        if len(found) < len(TAGS):
            print(f"{name}: in {', '.join(found) or 'no tag'} of {file} by {wanted['regex']}")
        lost += not found
        rows += [dict(zip(COLUMNS, (name, file, tag, line), strict=True)) for tag, line in found.items()]
    write(rows)
    return lost


def check(sources: Sources) -> int:
    """Looks for each quoted line in its file; the number of those that are not there."""
    rows = read(LIST)
    wrong = [row for row in rows if row["line"] not in sources.lines(row["file"], row["tag"])]
    for row in wrong:
        print(f"{row['name']}: not in {row['file']} at {row['tag']}: {row['line']}")
    for tag, count in Counter(row["tag"] for row in rows).items():
        print(f"{tag}: {count} rows")
    names = {row["name"] for row in rows}
    print(f"{len(names)} names, {len({row['file'] for row in rows})} files, {len(wrong)} lines not found")
    return len(wrong)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Checks slicer_api.csv against Slicer's sources, or adds to it.")
    parser.add_argument("--sources", type=Path, required=True, help="a git directory of Slicer/Slicer with its tags")
    parser.add_argument(
        "--repo", action="append", default=[], metavar="OWNER/NAME=FOLDER", help="another git directory"
    )
    parser.add_argument("--add", type=Path, nargs="+", default=[], metavar="ROWS.csv", help="rows name,file,regex")
    given = parser.parse_args(arguments)
    others = {name: Path(folder) for name, _, folder in (entry.partition("=") for entry in given.repo)}
    sources = Sources(given.sources, others)
    lost = add(given.add, sources) if given.add else 0
    return 1 if check(sources) or lost else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
