"""What is missing and how it is got; never over Slicer's own packages; the troubleshooting page and the code agree."""

import ast
import getpass
import importlib.metadata
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
import types
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from DeepRadScoreLib.errors import MissingPackageError
from DeepRadScoreSlicer import packages, requirements
from support import slicer_requirements
from support.imports import imports, reached, source

ROOT = Path(__file__).parents[2]

BUNDLED = {"numpy", "scipy", "simpleitk", "pillow", "packaging"}
"""Slicer 5.10 and later bring them, new enough."""
BUNDLED_LATER = {"pydicom", "highdicom"}
"""Slicer 5.12 brings pydicom 3 and highdicom; 5.10 has pydicom 2.4: only the library's DICOM reader is closed."""
BY_EXTENSION = {"torch", "torchvision"}
COMMAND_LINE = {"openpyxl", "pyarrow", "python-gdcm", "rich", "typer"}
"""Used by commands only: no road of the module leads to them, but that to openpyxl for a list in a workbook."""
ENTRIES = (
    "analyses.analysis",
    "bundles.bundle",
    "imaging",
    "report.writing",
    "cohort.table",
    "computing.one_case",
    "synthetic",
)


# --- the one list ----------------------------------------------------------------------------------------------------


def test_every_dependency_of_the_library_has_one_way_into_slicer():
    ours = {Requirement(name).name.lower(): name for name in requirements.pip_requirements()}
    ways = [set(ours), BUNDLED, BUNDLED_LATER, BY_EXTENSION, COMMAND_LINE]
    assert sum(map(len, ways)) == len(set().union(*ways))
    dependencies = slicer_requirements.dependencies()
    assert set().union(*ways) == set(dependencies)
    assert {name: dependencies[name] for name in ours} == ours
    assert {dependencies["torch"], dependencies["torchvision"]} == set(requirements.TORCH)


def test_requirements_are_those_that_pyproject_names():
    written = requirements.REQUIREMENTS.read_text(encoding="utf-8")
    assert written == slicer_requirements.requirements_text(), "run: make requirements"


def test_requirements_are_a_file_that_pip_reads():
    pip = pytest.importorskip("pip._internal.req")
    from pip._internal.network.session import PipSession

    parsed = pip.parse_requirements(str(requirements.REQUIREMENTS), session=PipSession())
    assert [line.requirement for line in parsed] == list(requirements.pip_requirements())
    assert all(use for use in requirements.pip_requirements().values())


def test_every_road_of_the_module_is_covered_by_the_list():
    called = {
        name.removeprefix("DeepRadScoreLib.")
        for path in (ROOT / "DeepRadScore").rglob("*.py")
        for name in imports(path)
        if name.startswith("DeepRadScoreLib.")
    }
    assert all(source(f"DeepRadScoreLib.{entry}") for entry in ENTRIES)
    third = reached({*ENTRIES, *called})
    assert third.pop("radiomics") == "DeepRadScoreLib.radscore.pyradiomics_engine"
    assert third.pop("openpyxl") == "DeepRadScoreLib.cohort.workbooks"
    assert third.pop("cryptography") == "DeepRadScoreLib.bundles.signatures"
    assert third.pop("pyarrow") == "DeepRadScoreLib.cohort.table_files"
    owners = importlib.metadata.packages_distributions()
    listed = {Requirement(name).name.lower() for name in requirements.pip_requirements()}
    allowed = {*listed, *BUNDLED, *BUNDLED_LATER, *BY_EXTENSION}
    brought = {"markupsafe", "llvmlite"}  # by jinja2 and by numba
    stray = {
        name: where
        for name, where in third.items()
        if not {owner.lower() for owner in owners.get(name, [name])} & {*allowed, *brought}
    }
    assert not stray
    used = {owner.lower() for name in third for owner in owners.get(name, [name])}
    assert listed <= used | {"iterative-stratification"}


# --- what is missing -------------------------------------------------------------------------------------------------


def pretend(monkeypatch, **versions):
    """Versions of distributions as if they were installed so; None: absent."""
    true = requirements.installed_version
    monkeypatch.setattr(
        requirements, "installed_version", lambda name: versions[name] if name in versions else true(name)
    )


def hindering(*names):
    """Those of these packages that are missing and hinder the analysis."""
    return [each for each in requirements.hindering() if each.name in names]


def test_nothing_is_missing_here():
    assert requirements.missing() == []
    assert not requirements.hindering()
    packages.require_analysis()


def test_absent_and_old_packages_are_missing(monkeypatch):
    pretend(monkeypatch, pandas="1.5.3", skops=None, torch=None)
    found = {each.name: each.source for each in requirements.missing()}
    assert found == {
        "torch>=2.3": "PyTorch extension",
        "pandas>=2.2": "pip",
        "skops>=0.11": "pip",
    }
    assert all(each.needed_for for each in requirements.missing())
    assert requirements.hindering()


def test_an_old_pydicom_hinders_dicom_only_and_is_never_replaced(application, monkeypatch):
    pretend(monkeypatch, pydicom="2.4.4")
    (found,) = requirements.missing()
    assert found.sentence == (
        "pydicom 2.4.4 is too old for DICOM segmentations; 3.0 or newer is needed (Slicer 5.12 or newer)"
    )
    assert requirements.hindering() == []
    assert not requirements.hindering()
    packages.require_analysis()
    assert packages.install(hindering(found.name), lambda text: True) == "Nothing is missing."
    assert application.pip == []
    assert slicer_requirements.dependencies()["pydicom"] == requirements.PYDICOM
    pretend(monkeypatch, pydicom="2.4.4", pandas="1.5.3")
    assert [each.name for each in requirements.hindering()] == ["pandas>=2.2"]
    assert (
        requirements.missing()[0].sentence == "pandas 1.5.3 is too old for feature tables; 2.2 or newer is needed (pip)"
    )


def test_looking_imports_nothing():
    program = """
        import sys
        sys.path += sys.argv[1:]
        from DeepRadScoreSlicer import packages, requirements
        requirements.missing()
        print([name for name in ("torch", "pandas", "radiomics", "sklearn", "shap") if name in sys.modules])
    """
    assert run(program, ROOT / "DeepRadScore").strip() == "[]"


def run(program, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- getting it ------------------------------------------------------------------------------------------------------


class Manager:
    """The Extensions Manager's model, as far as it is used."""

    def __init__(self, works):
        self.interactive, self.works, self.got = True, works, []

    def setInteractive(self, value):
        self.interactive = value

    def installExtensionFromServer(self, name, restart):
        assert not self.interactive
        assert restart is False
        self.got.append(name)
        return self.works


@pytest.fixture
def application(monkeypatch):
    """A made-up Slicer 5.10 that notes what is asked of it."""
    app = types.SimpleNamespace(
        manager=Manager(True),
        applicationVersion="5.10.0",
        revision="34045",
        launcherExecutableFilePath="/opt/Slicer 5.10/Slicer",
        pip=[],
        torch=object(),
        exits=[],
    )
    app.extensionsManagerModel = lambda: app.manager
    slicer = types.ModuleType("slicer")
    slicer.app = app
    slicer.util = types.SimpleNamespace(
        pip_install=lambda arguments: app.pip.append((arguments, Path(arguments[1]).read_text())),
        exit=app.exits.append,
    )
    monkeypatch.setitem(sys.modules, "slicer", slicer)
    return app


@pytest.fixture
def bare(monkeypatch):
    pretend(monkeypatch, pandas=None, torch=None, torchvision=None)
    true = packages.importlib.util.find_spec
    monkeypatch.setattr(
        packages.importlib.util, "find_spec", lambda name: None if name == "PyTorchUtils" else true(name)
    )


ALL = ("torch>=2.3", "torchvision>=0.18", "pandas>=2.2")


def test_the_question_says_what_how_big_and_from_where(bare):
    text = packages.consent_text(hindering(*ALL))
    for words in ("pandas>=2.2", "pypi.org", "MB", "extensions.slicer.org", "download.pytorch.org", "GB", "patients"):
        assert words in text
    assert "pypi.org" not in packages.consent_text(hindering("torch>=2.3"))


def test_refused_means_nothing_is_done(application, bare):
    asked = []
    assert packages.install(hindering(*ALL), lambda text: bool(asked.append(text))) == "Nothing was installed."
    assert asked == [packages.consent_text(hindering(*ALL))]
    assert (application.pip, application.manager.got) == ([], [])


def test_all_at_once_in_slicer_5_10(application, bare):
    done = packages.install(hindering(*ALL), lambda text: True)
    assert done == "Restart Slicer now; if something is still missing then, press the button once more."
    assert application.manager.got == ["PyTorch"]
    assert application.manager.interactive is True
    ((arguments, limits),) = application.pip
    assert arguments[0] == "-c"
    assert arguments[2:] == ["pandas>=2.2"]
    assert f"numpy=={importlib.metadata.version('numpy')}" in limits.splitlines()


def test_slicer_5_12_is_asked_by_its_own_packaging(application, bare, monkeypatch):
    calls = []

    def pip_install(names, constraints=None, requester=None):
        calls.append((names, Path(constraints).read_text(), requester))

    packaging = types.ModuleType("slicer.packaging")
    packaging.pip_install = pip_install
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    assert packages.install(hindering("pandas>=2.2"), lambda text: True) == "The packages are installed."
    ((names, limits, requester),) = calls
    assert (names, requester) == (["pandas>=2.2"], "DeepRadScore")
    assert "numpy==" in limits
    assert application.pip == []


def pytorch_utils(monkeypatch, outcome):
    asked = []

    class PyTorchUtilsLogic:
        def installTorch(self, askConfirmation=False, forceComputationBackend=None, torchVersionRequirement=None):
            asked.append((askConfirmation, torchVersionRequirement))
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

    module = types.ModuleType("PyTorchUtils")
    module.PyTorchUtilsLogic = PyTorchUtilsLogic
    module.__spec__ = importlib.machinery.ModuleSpec("PyTorchUtils", None)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", module)
    return asked


def test_torch_comes_by_the_pytorch_extension(application, monkeypatch):
    pretend(monkeypatch, torch=None, torchvision=None)
    asked = pytorch_utils(monkeypatch, object())
    assert packages.install(hindering(*requirements.TORCH), lambda text: True) == "The packages are installed."
    assert asked == [(False, ">=2.3")]
    assert (application.pip, application.manager.got) == ([], [])


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        (None, "torch: torch was not installed; open the module PyTorch Utils and press Install PyTorch."),
        (
            ValueError("no backend"),
            "torch: the PyTorch extension could not install torch; open the module PyTorch Utils, press "
            "Install PyTorch there, and restart Slicer.",
        ),
    ],
)
def test_torch_that_does_not_come_is_one_sentence(application, monkeypatch, outcome, sentence):
    pretend(monkeypatch, torch=None)
    pytorch_utils(monkeypatch, outcome)
    with pytest.raises(MissingPackageError) as error:
        packages.install(hindering(*requirements.TORCH), lambda text: True)
    assert str(error.value) == sentence


def test_what_fails_is_one_sentence(application, bare):
    application.manager.works = False
    with pytest.raises(MissingPackageError) as error:
        packages.install(hindering("torch>=2.3"), lambda text: True)
    assert str(error.value) == (
        "PyTorch: the extension could not be installed; open View > Extensions Manager, search for PyTorch, "
        "install it, and restart Slicer."
    )
    assert application.manager.interactive is True
    del application.extensionsManagerModel
    with pytest.raises(MissingPackageError, match=r"PyTorch: this Slicer has no Extensions Manager"):
        packages.install(hindering("torch>=2.3"), lambda text: True)


def test_pip_that_fails_is_one_sentence(application, bare):
    def fails(arguments):
        raise subprocess.CalledProcessError(1, "pip")

    sys.modules["slicer"].util.pip_install = fails
    with pytest.raises(MissingPackageError, match=r"^pandas>=2\.2: pip could not install the packages \(exit code 1\)"):
        packages.install(hindering("pandas>=2.2"), lambda text: True)


def test_batch_gets_the_exact_command_and_no_question(application, bare):
    with pytest.raises(MissingPackageError) as error:
        packages.require_analysis()
    assert error.value.what == f"packages are missing ({', '.join(ALL)})"
    command = packages.install_command()
    assert command in str(error.value)
    words = shlex.split(command)
    assert words[:4] == ["/opt/Slicer 5.10/Slicer", "--no-splash", "--no-main-window", "--python-code"]
    exec(compile(words[4], "command", "exec"), {})
    assert application.exits == [0]
    assert [arguments[2:] for arguments, _ in application.pip] == [["pandas>=2.2"]]
    application.manager.works = False
    packages.install_and_exit()
    assert application.exits == [0, 1]


# --- never over Slicer's own -----------------------------------------------------------------------------------------


def wheel(folder, name, version, *needs):
    tag = f"{name}-{version}"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + "".join(
        f"Requires-Dist: {need}\n" for need in needs
    )
    with zipfile.ZipFile(folder / f"{tag}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{tag}.dist-info/METADATA", metadata)
        archive.writestr(f"{tag}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{tag}.dist-info/RECORD", "")


def pip_would_install(folder, limits, name):
    """Names that pip would install, or None where it refuses."""
    (folder / "limits.txt").write_text("\n".join(limits))
    report = folder / "report.json"
    options = ["--quiet", "--isolated", "--no-index", "--dry-run", "--find-links", folder, "--report", report]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "-c", folder / "limits.txt", name],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull},
    )
    if done.returncode:
        assert re.search(r"conflict|No matching distribution|ResolutionImpossible", done.stderr), done.stderr
        return None
    return {item["metadata"]["name"] for item in json.loads(report.read_text())["install"]}


@pytest.mark.parametrize("own", ["numpy", "scipy", "SimpleITK", "pydicom", "torch"])
def test_pip_stops_before_it_would_replace_a_package(tmp_path, own):
    wheel(tmp_path, own, "999.0")
    wheel(tmp_path, "greedy", "1.0", f"{own}>=999")
    wheel(tmp_path, "modest", "1.0", own)
    assert pip_would_install(tmp_path, [], "greedy") == {"greedy", own}
    assert pip_would_install(tmp_path, packages.constraints(), "greedy") is None
    assert pip_would_install(tmp_path, packages.constraints(), "modest") == {"modest"}


def test_what_has_no_metadata_may_not_come_from_pypi(tmp_path, monkeypatch):
    """Slicer 5.10's SimpleITK is built with Slicer; torch is the PyTorch extension's."""
    there = [each for each in importlib.metadata.distributions() if each.metadata["Name"].lower() != "simpleitk"]
    monkeypatch.setattr(packages.importlib.metadata, "distributions", lambda: there)
    limits = packages.constraints()
    assert "SimpleITK<0" in limits
    wheel(tmp_path, "SimpleITK", "999.0")
    wheel(tmp_path, "greedy", "1.0", "SimpleITK>=999")
    assert pip_would_install(tmp_path, limits, "greedy") is None


def test_our_own_requirements_may_be_renewed():
    pinned = {Requirement(line).name.lower() for line in packages.constraints()}
    assert not pinned & {Requirement(name).name.lower() for name in requirements.pip_requirements()}
    assert {"numpy", "scipy", "simpleitk", "pydicom", "torch", "requests"} - pinned <= {"requests"}


def test_information_is_one_line_without_names_or_paths(application, monkeypatch):
    import platform

    pretend(monkeypatch, torch=None)
    line = requirements.information()
    assert "\n" not in line
    assert line.startswith("DeepRadScore 0.")
    for words in ("Slicer 5.10.0 (revision 34045)", f"Python {platform.python_version()}", "torch absent", "numpy "):
        assert words in line
    assert re.search(r"radiomics v?3\.", line)
    for private in (getpass.getuser() + " ", platform.node() or "?", str(Path.home()), "/"):
        assert private not in line


# --- the troubleshooting page ----------------------------------------------------------------------------------------

PAGE = ROOT / "Resources" / "troubleshooting.md"
OURS = (
    "DeepRadScore/DeepRadScoreSlicer/packages.py",
    "DeepRadScore/DeepRadScoreSlicer/requirements.py",
    "DeepRadScore/DeepRadScoreSlicer/cases/worklist.py",
    "DeepRadScore/DeepRadScoreSlicer/cases/review_file.py",
    "DeepRadScore/DeepRadScoreSlicer/panel/worklist.py",
    "DeepRadScoreLib/cohort/folders/by_name.py",
    "DeepRadScoreLib/cohort/text_table.py",
    "DeepRadScoreLib/cohort/workbooks.py",
)


def flat(node):
    """The text of a string in the code; "…" for what is filled in."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else "…"
    if isinstance(node, ast.JoinedStr):
        return "".join(flat(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return flat(node.left) + flat(node.right)
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_":
        return filled_in(flat(node.args[0]))
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "format":
        return flat(node.func.value)
    return "…"


def filled_in(text):
    return re.sub(r"\{[^{}]*\}", "…", text)


def texts(paths):
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Constant, ast.JoinedStr, ast.BinOp)):
                yield filled_in(flat(node))


def keys():
    return re.findall(r"^### `(.+)`$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_every_key_of_the_page_is_in_the_code():
    paths = [*(ROOT / "DeepRadScore").rglob("*.py"), *(ROOT / "DeepRadScoreLib").rglob("*.py")]
    known = "\n".join(texts(paths))
    assert len(keys()) > 25
    assert [key for key in keys() if key not in known] == []
    assert len(keys()) == len(set(keys()))


def test_every_error_of_the_packages_and_of_the_list_is_on_the_page():
    raised = {
        flat(node.args[0])
        for name in OURS
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("Error") and node.args
    }
    assert sorted(raised - set(keys()) - {"…"}) == []
