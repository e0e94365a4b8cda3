"""A form for a recipe, drawn from the parameters that it declares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from lens.errors import PlanError
from lens.panels._style import PLAIN, plain
from lens.panels._undo import Undoing, watch
from lens.plans import Choice, Count, Parameter, Plan, centred, recipe, recipes

__all__ = ["RecipeForm"]

NONE = "Presets …"


class RecipeForm(Undoing, widgets.HBox):
    """Choosing a recipe, its window and its parameters; `use(plan)` or `refuse(words)` is called as they change."""

    def __init__(self, use: Callable[[Plan], None], refuse: Callable[[PlanError], None]) -> None:
        self._use, self._refuse = use, refuse
        self._n_blocks = 0
        self._quiet = False
        self._fields: dict[str, Any] = {}
        self.name = plain("Recipe", options=[NONE, *recipes()], value=NONE)
        self.window = widgets.IntRangeSlider(min=0, max=1, description="Blocks", style=PLAIN)
        super().__init__([self.name])
        self.add_class("lens-controls")
        self.undo = [watch(self.name, ["value"], self._chosen), watch(self.window, ["value"], self._make)]

    def fit(self, n_blocks: int) -> None:
        """The windows of a model of another depth."""
        if n_blocks == self._n_blocks:
            return
        self._n_blocks = n_blocks
        self._quiet = True
        start, stop = centred(n_blocks, (n_blocks - 1) // 4) if n_blocks > 1 else (0, 1)
        self.window.max = n_blocks - 1
        self.window.value = start, stop - 1
        self._quiet = False

    def reset(self) -> None:
        """No recipe: the plan was changed by hand."""
        self._quiet = True
        self.name.value = NONE
        self._quiet = False

    def _chosen(self) -> None:
        for field in self._fields.values():
            field.close()
        chosen = recipes().get(self.name.value)
        self._fields = {p.name: _field(p, self._n_blocks) for p in chosen.parameters} if chosen else {}
        for field in self._fields.values():
            watch(field, ["value"], self._make)
        window = [self.window] if chosen and chosen.window else []
        self.children = (self.name, *window, *self._fields.values())
        self.name.tooltip = chosen.help if chosen else ""
        self._make()

    def _make(self) -> None:
        chosen = recipes().get(self.name.value)
        if chosen is None or self._quiet:
            return
        values: dict[str, Any] = {name: field.value for name, field in self._fields.items()}
        if chosen.window:
            values |= {"start": self.window.value[0], "stop": self.window.value[1] + 1}
        try:
            plan = recipe(chosen.name, self._n_blocks, **values)
        except PlanError as error:
            self._refuse(error)
        else:
            self._use(plan)


def _field(parameter: Parameter, n_blocks: int) -> widgets.Widget:
    if isinstance(parameter, Count):
        high = n_blocks - 1 if parameter.block else 999
        return widgets.BoundedIntText(
            parameter.default, min=parameter.low, max=high, description=parameter.name, style=PLAIN
        )
    if isinstance(parameter, Choice):
        if parameter.options:
            return widgets.Dropdown(
                options=parameter.options, value=parameter.default, description=parameter.name, style=PLAIN
            )
        return widgets.Text(parameter.default, description=parameter.name, style=PLAIN, continuous_update=False)
    return widgets.FloatText(parameter.default, step=0.1, description=parameter.name, style=PLAIN)
