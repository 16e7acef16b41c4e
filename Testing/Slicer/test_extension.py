"""What a Slicer build and the Extensions Index read, and the traps of a library that lies beside its module."""

import ast
import functools
import json
import re
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
HOME = "https://github.com/DeepRadScore/SlicerDeepRadScore"
RAW = "https://raw.githubusercontent.com/DeepRadScore/SlicerDeepRadScore/main/"
FOLDERS = ("DeepRadScore", "DeepRadScoreLib")
SLICERS_OWN = {"numpy", "vtk", "SimpleITK", "slicer", "qt", "ctk", "DeepRadScoreSlicer"}
FOR_THE_LIBRARY = {"scipy"}
"""Slicer's own as well, but imported by the library alone: the module's files stay without it."""
INDEX_SCHEMA = {
    # Slicer: Schemas/slicer-extension-catalog-entry-schema-v1.0.1.json
    "type": "object",
    "required": ["$schema", "category", "scm_url"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string"},
        "category": {"type": "string"},
        "scm_url": {"type": "string"},
        "scm_revision": {"type": "string"},
        "scm_type": {"enum": ["git", "local"]},
        "build_dependencies": {"type": "array", "items": {"type": "string"}},
        "build_subdirectory": {"type": "string"},
        "enabled": {"type": "boolean"},
        "tier": {"type": "integer", "minimum": 1, "maximum": 5},
    },
}


def cmake(folder="."):
    text = (ROOT / folder / "CMakeLists.txt").read_text(encoding="utf-8")
    return re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)


def listed(folder, variable):
    found = re.search(rf"set\({variable}\s([^)]*)\)", cmake(folder))
    return [] if found is None else found[1].replace("${MODULE_NAME}", folder).split()


def on_disk(folder):
    paths = [path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*") if path.is_file()]
    ours = [path for path in paths if not any(part.startswith((".", "__pycache__")) for part in path.parts)]
    return {path.as_posix() for path in ours} - {"CMakeLists.txt"}


def setting(name):
    # as ExtensionsIndex scripts/check_description_files.py finds them: one literal, on one line
    return re.findall(rf'^set\({name} "([^"\n]+)"\)$', cmake(), re.MULTILINE)


def files_of(name):
    return [ROOT / address.removeprefix(RAW) for address in setting(name)[0].split()]


# --- CMake -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", FOLDERS)
def test_cmake_lists_every_file_and_no_other(folder):
    scripts, resources = listed(folder, "MODULE_PYTHON_SCRIPTS"), listed(folder, "MODULE_PYTHON_RESOURCES")
    assert len(set(scripts)) == len(scripts)
    assert len(set(resources)) == len(resources)
    there = on_disk(folder)
    assert set(scripts) == {name for name in there if name.endswith(".py")}
    assert set(resources) == {name for name in there if not name.endswith(".py")}


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_macro_is_given_both_lists(folder):
    (call,) = re.findall(r"slicerMacroBuildScriptedModule\(([^)]*)\)", cmake(folder))
    assert "SCRIPTS ${MODULE_PYTHON_SCRIPTS}" in call
    assert "RESOURCES ${MODULE_PYTHON_RESOURCES}" in call
    assert re.search(rf"set\(MODULE_NAME {folder}\)", cmake(folder))
    # with a folder of its own beside the module, so that `import DeepRadScoreLib` finds it
    assert ("WITH_SUBDIR" in call) == (folder == "DeepRadScoreLib")
    assert ("WITH_GENERIC_TESTS" in call) == (folder == "DeepRadScore")


def test_the_extension_is_put_together_as_slicer_wants_it():
    text = cmake()
    assert re.findall(r"project\(\s*(\S+?)\s*\)", text) == ["DeepRadScore"]
    assert set(re.findall(r"add_subdirectory\((\S+)\)", text)) == set(FOLDERS)
    parts = ["find_package(Slicer REQUIRED)", "include(${Slicer_USE_FILE})", "add_subdirectory(DeepRadScore)"]
    parts += ["include(${Slicer_EXTENSION_GENERATE_CONFIG})", "include(${Slicer_EXTENSION_CPACK})"]
    assert sorted(parts, key=text.index) == parts
    assert "slicer_add_python_unittest(SCRIPT ${MODULE_NAME}.py)" in cmake("DeepRadScore")


@pytest.mark.parametrize("name", ["HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS"])
def test_what_the_index_reads_is_one_literal(name):
    (value,) = setting(f"EXTENSION_{name}")
    assert ";" not in value  # CMake would take it for a list and lose the rest
    assert not re.search(r"example\.com|<org>|John Doe|TODO", value, re.IGNORECASE)


def test_addresses_are_those_of_one_repository_and_of_files_that_are_there():
    assert setting("EXTENSION_HOMEPAGE") == [HOME]
    (icon,) = files_of("EXTENSION_ICONURL")
    with Image.open(icon) as image:
        assert (image.format, image.size) == ("PNG", (128, 128))
    screenshots = files_of("EXTENSION_SCREENSHOTURLS")
    assert screenshots
    for path in screenshots:
        with Image.open(path) as image:
            assert image.format == "PNG"


def test_every_picture_is_shown_somewhere():
    shown = [ROOT / "README.md", ROOT / "CMakeLists.txt", *(ROOT / "docs" / "guides").glob("*.md")]
    pages = "".join(path.read_text(encoding="utf-8") for path in shown)
    pictures = {path.relative_to(ROOT).as_posix() for path in (ROOT / "Resources").rglob("*.png")}
    assert pictures
    assert pictures <= set(re.findall(r"Resources/[\w/]+\.png", pages))


def test_entry_of_the_extensions_index():
    raw = (ROOT / "DeepRadScore.json").read_bytes()
    assert b"\r" not in raw
    entry = json.loads(raw)
    jsonschema.validate(entry, INDEX_SCHEMA)
    assert raw.decode() == json.dumps(entry, indent=2) + "\n"
    assert entry["scm_url"] == HOME
    assert HOME.rsplit("/", maxsplit=1)[1].startswith("Slicer")
    assert entry["category"] in ("Quantification", "Analysis", "Informatics")
    assert entry["build_dependencies"] == setting("EXTENSION_DEPENDS")[0].split() == ["PyTorch"]
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").lstrip().startswith("Apache License")


# --- the traps -------------------------------------------------------------------------------------------------------


def test_nothing_hides_the_module_or_the_library():
    assert not (ROOT / "DeepRadScore" / "__init__.py").exists()  # would hide DeepRadScore.py
    assert [path.name for path in (ROOT / "DeepRadScore").glob("*.py")] == ["DeepRadScore.py"]  # each is a module
    names = [path.name for path in ROOT.iterdir()]
    assert len({name.casefold() for name in names}) == len(names)
    module = set(listed("DeepRadScore", "MODULE_PYTHON_SCRIPTS"))
    library = {f"DeepRadScoreLib/{name}" for name in listed("DeepRadScoreLib", "MODULE_PYTHON_SCRIPTS")}
    assert not module & library  # both are installed into one folder
    assert "DeepRadScoreSlicer/__init__.py" in module


def test_every_folder_with_modules_is_a_package():
    for folder in (ROOT / "DeepRadScoreLib", ROOT / "DeepRadScore" / "DeepRadScoreSlicer"):
        for path in folder.rglob("*.py"):
            assert (path.parent / "__init__.py").exists(), path


def test_pip_takes_the_library_alone_and_all_of_it():
    with (ROOT / "pyproject.toml").open("rb") as stream:
        tool = tomllib.load(stream)["tool"]["setuptools"]
    assert tool["packages"]["find"]["include"] == ["DeepRadScoreLib*"]
    patterns = tool["package-data"]["DeepRadScoreLib"]
    data = {
        path.relative_to(ROOT / "DeepRadScoreLib")
        for pattern in patterns
        for path in (ROOT / "DeepRadScoreLib").glob(pattern)
    }
    assert {path.as_posix() for path in data} == set(listed("DeepRadScoreLib", "MODULE_PYTHON_RESOURCES"))


def module_files():
    return sorted((ROOT / "DeepRadScore").rglob("*.py"))


def at_file_level(tree):
    """Statements that run at import: not those of functions, nor of `if TYPE_CHECKING`."""
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        waiting += [child for child in ast.iter_child_nodes(node) if isinstance(child, (ast.stmt, ast.ExceptHandler))]


def imported_names(node):
    if isinstance(node, ast.Import):
        return {name.name for name in node.names}
    if not isinstance(node, ast.ImportFrom):
        return set()
    return {node.module, *(f"{node.module}.{name.name}" for name in node.names)}


def library_files(name):
    """Files of the library that an import of this dotted name runs: the packages above it, and its own."""
    parts = name.split(".")
    paths = [ROOT.joinpath(*parts[:count]) for count in range(1, len(parts) + 1)]
    return {path for stem in paths for path in (stem / "__init__.py", stem.with_suffix(".py")) if path.exists()}


@functools.cache
def imported_at_file_level(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset().union(*(imported_names(node) for node in at_file_level(tree)))


@pytest.mark.parametrize("path", module_files(), ids=lambda path: path.name)
def test_importing_the_module_needs_only_what_slicer_brings(path):
    """Nor do the files of the library that it imports at once, nor those that they import."""
    waiting, seen = [path], set()
    while waiting:
        file = waiting.pop()
        seen.add(file)
        names = imported_at_file_level(file)
        ours = {name for name in names if name.split(".")[0] == "DeepRadScoreLib"}
        brought = SLICERS_OWN | (FOR_THE_LIBRARY if file != path else set())
        assert {name.split(".")[0] for name in names - ours} <= brought | set(sys.stdlib_module_names), file
        waiting += {found for name in ours for found in library_files(name)} - seen


@pytest.mark.parametrize("path", module_files(), ids=lambda path: path.name)
def test_the_search_path_is_only_lengthened_at_its_end(path):
    # one takes our own folder out of it, the other is a process of its own
    allowed = {"_find_packages", "make_in_this_process"}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and function.name in allowed
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("sys.path."):
            assert ast.unparse(node.func) == "sys.path.append", ast.unparse(node)
        if isinstance(node, (ast.Assign, ast.AugAssign)) and node not in inside:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            assert not any(ast.unparse(target).startswith("sys.path") for target in targets), ast.unparse(node)


def test_the_batch_script_is_plain_ascii():
    # ctkAbstractPythonManager::executeFile reads a script in the system's own encoding
    assert (ROOT / "DeepRadScore" / "DeepRadScoreSlicer" / "batch.py").read_bytes().isascii()
