"""Do the tests notice? One thing is changed in a module at a time, and the tests of that module are run.

    python -m tests.mutate numerics/_solve execution/_trie --sample 60 --seed 1

Names what was changed where no test failed, and prints a line for each module. What is changed: a comparison, a sum, a
number, a condition, an argument by name, a bound of a slice, what is returned, a call whose result nobody takes. Not
changed: annotations, decorators, docstrings, the words of messages. Each change runs in a fork of a process that has
imported PyTorch, transformers and pytest, but nothing of lens.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import importlib.abc
import importlib.util
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "transformers", "numpy", "pandas", "safetensors.torch", "sklearn.linear_model", "scipy.stats")
HEAVY += ("pytest", "hypothesis", "httpx")
HEAVY += ("transformers.models.gpt2.modeling_gpt2", "transformers.models.llama.modeling_llama")
SLACK = 60.0  # seconds beyond four times what the tests take without a change: then it hangs, which is noticed
SURGERY = "tests/oracle/test_surgery.py::test_"
RECIPES = "tests/contracts/test_recipes.py::test_"
MAPS = ("tests/unit/casts/test_maps.py", "tests/unit/casts/test_faults.py", "tests/unit/casts/test_hostile.py")
RUN = ("tests/unit/execution/test_run.py", "tests/oracle/test_interpreter.py")
FIT = (
    f"{MAPS[0]}::test_every_cast_keeps_its_contract",
    f"{MAPS[0]}::test_an_unknown_cast_is_named",
    "tests/oracle/test_fit.py::test_several_kinds_in_one_go_equal_scikit_learn",
    "tests/oracle/test_fit.py::test_what_cannot_be_fitted_is_said",
)
PLANS = tuple(f"tests/unit/plans/test_{name}.py" for name in ("grammar", "edges", "refusals", "json", "properties"))
TESTS: dict[str, tuple[str, ...]] = {
    "numerics/_moments": ("tests/oracle/test_moments.py",),
    "numerics/_solve": ("tests/oracle/test_moments.py",),
    "numerics/_residuals": ("tests/oracle/test_moments.py",),
    "numerics/_rounding": ("tests/oracle/test_rounding.py",),
    "numerics/_scores": ("tests/oracle/test_scores_edges.py", "tests/oracle/test_scores.py"),
    "execution/_interpreter": (
        *RUN,
        f"{SURGERY}scaled_and_looped_stages_equal_their_formula",
        "tests/contracts/test_plans.py",
    ),
    "execution/_trie": (
        f"{RUN[0]}::test_plans_that_share_a_beginning_end_where_each_ends_alone",
        f"{SURGERY}equal_plans_run_once_and_beginnings_are_shared",
        f"{SURGERY}a_linear_part_is_not_taken_for_the_true_block_beside_it",
        f"{SURGERY}memory_and_positions_change_no_number",
    ),
    "execution/_alike": ("tests/oracle/test_alike.py",),
    "execution/_generate": (
        "tests/unit/execution/test_generate.py",
        f"{SURGERY}sampling_follows_the_temperature_and_the_seed",
        "tests/contracts/test_doubt.py::test_nothing_is_written_on_from_no_number",
        f"{RECIPES}a_model_that_keeps_nothing_writes_the_same",
        "tests/unit/test_limits.py::test_a_sweep_and_a_text_written_on_are_measured",
    ),
    "execution/_onward": ("tests/contracts/test_onward.py", "-k", "not together or attention0-"),
    "execution/_planned": (
        f"{RECIPES}a_cache_of_another_plan_is_refused",
        f"{RECIPES}keys_and_values_are_taken_by_either_name",
        f"{RECIPES}the_identity_writes_what_the_model_writes",
        f"{RECIPES}the_model_stays_as_it_was",
        f"{RECIPES}guessed_tokens_that_were_wrong_are_taken_back",
        "tests/unit/execution/test_generate.py::test_maps_that_are_given_are_used",
    ),
    "execution/_run": RUN,
    "execution/_maps": RUN,
    "execution/_export": (
        "tests/contracts/test_export.py",
        "-k",
        "not saved_is_the_plan or gpt2 or qwen3 or modernbert or albert- or gpt_neo-",
    ),
    "casts/identity": FIT,
    "casts/mat": FIT,
    "casts/affine": FIT,
    "casts/ridge": FIT,
    "casts/lowrank": FIT,
    "casts/tuned": (*FIT[:2], "tests/unit/casts/test_imports.py"),
    "casts/_maps": MAPS,
    "plans/_grammar": PLANS,
    "plans/_plan": PLANS,
    "plans/_stages": PLANS,
    "plans/_json": PLANS,
    "plans/_alternation": ("tests/unit/plans/test_recipe_edges.py",),
    "plans/_recipe": (
        "tests/unit/plans/test_recipe_edges.py",
        f"{SURGERY}recipes_give_the_plans_of_the_paper",
        f"{SURGERY}paper_windows_have_the_stated_size",
    ),
}
SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Add: ast.Sub, ast.Sub: ast.Add,
    ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Pow: ast.Mult, ast.MatMult: ast.Mult,
    ast.And: ast.Or, ast.Or: ast.And, ast.USub: ast.UAdd, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
UNTOUCHED = ("annotation", "returns", "decorator_list", "type_params", "names")
Change = Callable[[Any], None]


def places(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that may be changed, in an order that a copy of the tree has too."""
    for name, value in ast.iter_fields(node):
        if name in UNTOUCHED or isinstance(node, (ast.Raise, ast.Import, ast.ImportFrom, ast.Assert)):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _words(child) and not _listing(child):
                yield child
                yield from places(child)


def _words(node: ast.AST) -> bool:
    """A docstring, or an f-string, which here is always said to a person or a name of a file."""
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _listing(node: ast.AST) -> bool:
    """`__all__`, and the names of types."""
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name)
        and (target.id == "__all__" or (target.id[0].isupper() and not target.id.isupper()))
        for target in node.targets
    )


def changes(node: Any) -> list[Change]:
    """What may be done to a node: each is done to its counterpart in a copy of the tree."""
    found: list[Change] = []
    if isinstance(node, ast.Compare):
        found += [lambda it, at=at: it.ops.__setitem__(at, SWAPS[type(it.ops[at])]()) for at in range(len(node.ops))]
    elif isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign)) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
    ):
        found += [lambda it: setattr(it, "op", SWAPS[type(it.op)]())] if type(node.op) in SWAPS else []
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        found.append(lambda it: setattr(it, "operand", ast.UnaryOp(ast.Not(), it.operand)))
    elif isinstance(node, ast.Constant):
        found += _other_values(node)
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
        found.append(lambda it: setattr(it, "test", ast.UnaryOp(ast.Not(), it.test)))
    elif isinstance(node, (ast.Return, ast.Expr)) and not isinstance(
        node.value, (ast.Yield, ast.YieldFrom, type(None))
    ):
        found.append(lambda it: setattr(it, "value", ast.Constant(None)))
    elif isinstance(node, (ast.Break, ast.Continue)):
        found.append(lambda it: setattr(it, "__class__", ast.Continue if isinstance(it, ast.Break) else ast.Break))
    elif isinstance(node, ast.comprehension):
        found += [lambda it, at=at: it.ifs.pop(at) for at in range(len(node.ifs))]
    elif isinstance(node, ast.Slice):
        found += [lambda it, end=end: setattr(it, end, None) for end in ("lower", "upper") if getattr(node, end)]
    elif isinstance(node, ast.Call):
        found += [lambda it, at=at: it.keywords.pop(at) for at, given in enumerate(node.keywords) if given.arg]
    return found


def _other_values(node: ast.Constant) -> list[Change]:
    if isinstance(node.value, bool):
        return [lambda it: setattr(it, "value", not it.value)]
    if isinstance(node.value, (int, float)):
        return [lambda it: setattr(it, "value", it.value + 1)]
    return [lambda it: setattr(it, "value", f"{it.value}X")] if isinstance(node.value, str) else []


def mutants(source: str) -> list[tuple[str, ast.Module]]:
    """Every change of a module: what stands where after it, and the changed tree."""
    tree, found = ast.parse(source), []
    for at, node in enumerate(places(tree)):
        for change in changes(node):
            changed = copy.deepcopy(tree)
            counterpart = next(each for number, each in enumerate(places(changed)) if number == at)
            before = ast.unparse(counterpart) if not isinstance(node, (ast.If, ast.While)) else ast.unparse(node.test)
            change(counterpart)
            after = ast.unparse(counterpart) if not isinstance(node, (ast.If, ast.While)) else "the opposite"
            line = getattr(node, "lineno", 0)
            found.append((f"{line}: {before}  →  {after}", ast.fix_missing_locations(changed)))
    return found


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module in its changed form."""

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        self.name, self.path, self.tree = name, path, tree

    def find_spec(self, name: str, *_: Any) -> Any:
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def create_module(self, _: Any) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.tree, str(self.path), "exec"), module.__dict__)  # noqa: S102 - our own module


def noticed(module: str, tree: ast.Module, tests: tuple[str, ...], patience: float) -> bool:
    """Whether a test fails, or hangs, with the module in this form; a fork of this process runs them."""
    child = os.fork()
    if child == 0:
        _run(module, tree, tests)
    end = time.monotonic() + patience
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status != 0
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def _run(module: str, tree: ast.Module, tests: tuple[str, ...]) -> None:
    code = 1
    try:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        os.chdir(ROOT)
        path = ROOT / "lens" / f"{module}.py"
        sys.meta_path.insert(0, _Changed(f"lens.{module.replace('/', '.')}", path, tree))
        import pytest

        options = ["-x", "-q", "-p", "no:cacheprovider", "--assert=plain"]  # a trace is not read, only that it failed
        code = int(pytest.main([*options, *tests]))
    finally:
        os._exit(code)


def main() -> int:
    """A line for each module; 1 where the tests fail without a change."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", choices=[*TESTS, []], metavar="MODULE", help=", ".join(TESTS))
    parser.add_argument("--sample", type=int, default=10**6, help="changes of each module, drawn by chance")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    for name in HEAVY:
        importlib.import_module(name)
    for module in chosen.modules or TESTS:
        source = (ROOT / "lens" / f"{module}.py").read_text(encoding="utf-8")
        begun = time.monotonic()
        if noticed(module, ast.parse(source), TESTS[module], 3600):
            print(f"the tests of {module} fail without a change")
            return 1
        patience = 4 * (time.monotonic() - begun) + SLACK
        every = mutants(source)
        drawn = random.Random(chosen.seed).sample(every, min(chosen.sample, len(every)))  # noqa: S311 - no secret
        seen = 0
        for said, tree in drawn:
            if noticed(module, tree, TESTS[module], patience):
                seen += 1
            else:
                print(f"  not noticed: lens/{module}.py:{said}", flush=True)
        print(f"| `{module}` | {len(every)} | {len(drawn)} | {seen} | {time.monotonic() - begun:.0f} s |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
