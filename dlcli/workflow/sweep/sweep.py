"""``dlcli sweep``: trials with different values of some keys of a recipe, each a short training in a worker process.

The log of trials is the state: a sweep that was killed at any moment is resumed from it. This process imports no
TensorFlow; its workers do. The test split is never evaluated.
"""

from collections.abc import Mapping
from typing import Any

from dlcli.recipe.load import LoadedRecipe
from dlcli.workflow.sweep.design import Design
from dlcli.workflow.sweep.trials import Trials, log_of_trials
from dlcli.workflow.trials.check import check_in_worker
from dlcli.workflow.trials.directory import TRIALS, Kind, StudyDir
from dlcli.workflow.trials.work import Setting


class SweepWork:
    """A sweep as its recipe says.

    Args:
        loaded: the recipe.

    Raises:
        InputError: it has no ``sweep`` section, or one that cannot be used.
    """

    kind: Kind = "sweep"
    logs = (TRIALS,)

    def __init__(self, loaded: LoadedRecipe) -> None:
        self.loaded = loaded
        self.design = Design(loaded)
        self.num_workers = self.design.section.workers

    def check(self, setting: Setting) -> dict[str, Any]:
        """Have a worker read the data and build the recipe's own network; returns what it found, with the
        ``objective``.

        Raises:
            InputError: the data, the recipe or its objective cannot be used.
        """
        design, loaded = self.design, self.loaded
        outcome = check_in_worker(setting, design.written, loaded)
        objective = design.named_objective or outcome["best_metric"]
        if objective not in outcome["columns"]:
            known = ", ".join(name for name in outcome["columns"] if name.startswith("val_")) or "none"
            raise loaded.error(
                "sweep.objective",
                f"the trials have no {objective}; with this recipe the validation metrics are: {known}",
            )
        for warning in design.warnings(objective, num_train=outcome["splits"]["train"]):
            setting.console.warn(warning)
        return {**outcome, "objective": objective}

    def check_logs(self, study: StudyDir, facts: Mapping[str, Any]) -> None:
        """Read the log of a sweep of the same recipe.

        Raises:
            InputError: it is corrupt.
        """
        log_of_trials(study.trials, self.design, facts["objective"]).read()

    def info(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """The objective."""
        return {"objective": facts["objective"]}

    def run(self, study: StudyDir, setting: Setting) -> dict[str, Any]:
        """Run the trials that are left.

        Raises:
            CheckFailed: no trial could be trained.
        """
        objective = study.read_info()["objective"]
        setting.console.say(f"sweep {study.path}: {self.design.section.method}, {objective}")
        return Trials(study, self.design, objective, setting).run()
