"""The rules that hold the project together: directions of imports, what no module may contain."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "minicompress"
SOURCES = {path.relative_to(PACKAGE).as_posix(): path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(text) for name, text in SOURCES.items()}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

TOPICS = {"pruning", "lottery", "distillation", "quantization", "architecture", "dynamic"}
BASE = {"errors", "inputs"}
MAY_IMPORT = {  # besides itself
    "errors": set(),
    "table": set(),
    "inputs": {"errors"},
    "nn": BASE,
    "data": BASE,
    "plots": BASE,
    "lesson": BASE | {"plots"},
    "verdict": BASE | {"table"},
    **{topic: BASE | {"nn"} for topic in TOPICS},
    "storage": BASE | {"nn"} | TOPICS,
    "energy": BASE,
    "counting": {"nn"},
    "ledger": BASE | {"nn", "storage", "table", "counting"},
}
FRONT = {"__init__", "__main__", "cli", "tour", "report", "regenerate", "reproduce", "homework"}  # may import all
BUILDS_ON = {  # module -> the other topics on which its lecture builds
    "architecture/mobile.py": {"counting"},
    "architecture/zoo.py": {"ledger"},  # layer tables, counted by it
    "quantization/deep_compression.py": {"pruning"},
    "quantization/uniform.py": {"pruning"},
    "quantization/thresholds.py": {"pruning"},  # binary weights of which some are pruned
    "distillation/experiments.py": {"pruning"},
    "dynamic/routing.py": {"counting"},  # multiply-accumulates of what ran
    "dynamic/msdnet.py": {"architecture"},  # blocks
    "dynamic/skipping.py": {"architecture", "counting"},
    "lottery/odds.py": {"pruning"},
    "lottery/records.py": {"verdict"},  # a topic's table with intervals over seeds
    "lottery/tickets.py": {"pruning"},
    "lottery/supermask.py": {"pruning"},
    "lottery/rethinking.py": {"pruning"},
    "lottery/trials.py": {"pruning"},
}
UNDECLARED = {  # module -> what it imports beyond the core dependencies
    "data/download.py": {"requests"},  # comes with pooch
    "plots.py": {"cycler", "matplotlib_inline"},  # come with matplotlib and with every notebook kernel
    "regenerate.py": {"nbclient", "nbformat"},  # the extra `test`
    "homework.py": {"nbclient", "nbformat"},
}
UNTESTED = {"__init__", "__main__", "errors"}  # no code of their own; each error is tested where it is raised
TECHNIQUES = "prun codebook huffman distill lottery ticket supermask slimm binaryconnect"


def area(name: str) -> str:
    """The part of the package to which a file belongs: nn/optim.py -> nn, errors.py -> errors."""
    return name.split("/")[0].removesuffix(".py")


def imports(name: str) -> Iterator[str]:
    """Every dotted name that a file imports, relative imports resolved."""
    package = ["minicompress", *name.split("/")[:-1]]
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            yield from (".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)


def test_imports_go_in_one_direction() -> None:
    known = set(MAY_IMPORT) | FRONT
    assert {area(name) for name in SOURCES} <= known, "say in this file where the new part of the package stands"
    wrong = []
    for name in SOURCES:
        if area(name) in FRONT:
            continue
        allowed = MAY_IMPORT[area(name)] | {area(name)} | BUILDS_ON.get(name, set())
        inner = [i.split(".") for i in imports(name) if i.split(".")[0] == "minicompress"]
        wrong += [f"{name} imports {'.'.join(i)}" for i in inner if len(i) < 2 or i[1] not in allowed]
    assert not wrong


def test_third_party_imports_are_declared() -> None:
    core = {re.split(r"[^\w-]", line)[0] for line in PROJECT["dependencies"]}
    wrong = []
    for name in SOURCES:
        allowed = core | set(sys.stdlib_module_names) | {"minicompress"} | UNDECLARED.get(name, set())
        wrong += [f"{name} imports {i}" for i in imports(name) if i.split(".")[0] not in allowed]
    assert not wrong


def test_no_assert_in_the_package() -> None:
    nodes = [(name, node) for name, tree in TREES.items() for node in ast.walk(tree)]
    assert not [f"{name}:{node.lineno}" for name, node in nodes if isinstance(node, ast.Assert)]


def test_no_global_randomness() -> None:
    explicit = {"default_rng", "Generator", "BitGenerator", "PCG64", "Philox", "SeedSequence"}
    wrong = []
    for name, text in SOURCES.items():
        used = re.findall(r"\b(?:np|numpy)\.random\.(\w+)", text)
        used += [i.removeprefix("numpy.random.") for i in imports(name) if i.startswith("numpy.random.")]
        wrong += [f"{name}: numpy.random.{function}" for function in sorted(set(used) - explicit)]
        wrong += [f"{name} imports {i}" for i in imports(name) if i.split(".")[0] == "random"]
    assert not wrong


def test_no_pickle() -> None:
    """A file from somebody else must not run code."""
    unsafe = {"pickle", "_pickle", "cPickle", "shelve", "marshal", "dill", "cloudpickle"}
    joblib = {"joblib", "joblib.load", "joblib.dump", "joblib.Memory"}  # its processes are fine, its files are not
    wrong = [f"{name} imports {i}" for name in SOURCES for i in imports(name)
             if i.split(".")[0] in unsafe or i in joblib]
    wrong += [name for name, text in SOURCES.items() if re.search(r"allow_pickle\s*=\s*(?!False)", text)]
    assert not wrong


def test_files_are_short() -> None:
    files = [*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in files}
    assert not {name: lines for name, lines in lengths.items() if lines > 220}


def test_nn_knows_no_technique() -> None:
    wrong = []
    for name, text in SOURCES.items():
        if area(name) == "nn":
            wrong += [f"{name} says {word}" for word in TECHNIQUES.split() if word in text.lower()]
    assert not wrong


def test_every_module_has_a_docstring() -> None:
    assert not [name for name, tree in TREES.items() if tree.body and not ast.get_docstring(tree)]


def test_every_module_has_its_tests() -> None:
    modules = [Path(name) for name in SOURCES if Path(name).stem not in UNTESTED]
    wanted = [ROOT / "tests" / path.parent / f"test_{path.name}" for path in modules]
    assert not [str(path.relative_to(ROOT)) for path in wanted if not path.exists()]


def test_environment_yml_says_what_pyproject_says() -> None:
    listed = set(re.findall(r"^  - ([\w-]+[^\s:]*)$", (ROOT / "environment.yml").read_text("utf-8"), re.MULTILINE))
    extras = PROJECT["optional-dependencies"]
    python = "python" + PROJECT["requires-python"]
    assert listed == {python, "pip", *PROJECT["dependencies"], *extras["test"], *extras["course"]}


def test_citation_names_the_version() -> None:
    version = re.search(r'^__version__ = "(.+)"$', SOURCES.get("__init__.py", ""), re.MULTILINE)
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    assert version and cited and version[1] == cited[1]


def test_links_between_documents_lead_somewhere() -> None:
    wrong = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "lectures").glob("*.md")]:
        targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text("utf-8"))
        wrong += [f"{page.name}: {target}" for target in targets if not (page.parent / target).exists()]
    assert not wrong


def test_lectures_and_notebooks_share_their_stems() -> None:
    lectures = {path.stem for path in (ROOT / "lectures").glob("[0-9][0-9]_*.md")}
    assert lectures == {path.stem for path in NOTEBOOKS}
