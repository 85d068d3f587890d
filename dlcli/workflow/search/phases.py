"""The phases of a search in its directory: trials, trials of random search, finalists, the test split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.errors import CheckFailed
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.search import Search
from dlcli.workflow.search.candidates import Candidates, written_values
from dlcli.workflow.search.files import write_best, write_front, write_plots
from dlcli.workflow.search.finals import ORIGINS, Finalist, FinalProposer, best_trials, final_name, ranked
from dlcli.workflow.search.proposer import CellProposer
from dlcli.workflow.search.results import compared, described, line_about, summary
from dlcli.workflow.trials.directory import StudyDir
from dlcli.workflow.trials.pool import Lost
from dlcli.workflow.trials.records import Record, TrialLog
from dlcli.workflow.trials.runner import Plan, Proposal, run_trials
from dlcli.workflow.trials.work import Setting


@dataclass(frozen=True)
class Phases:
    """What is left to do in the directory of a search; each phase continues from its log.

    Attributes:
        study: the directory.
        loaded: the recipe.
        section: its ``search`` section.
        setting: where trials are run.
    """

    study: StudyDir
    loaded: LoadedRecipe
    section: Search
    setting: Setting

    @property
    def candidates(self) -> Candidates:
        """Makes the recipes of candidates."""
        return Candidates(written_values(self.loaded), self.section, self.loaded.recipe.train.seed)

    @property
    def common(self) -> dict[str, Any]:
        """What all tasks of the workers have."""
        return {"device": self.setting.device, "path": str(self.loaded.path), "runs": str(self.setting.runs)}

    def run(self) -> dict[str, Any]:
        """Do what is left of the search, and return its result.

        Raises:
            CheckFailed: no trial or no finalist can be trained.
        """
        study, section = self.study, self.section
        self.setting.console.say(f"search {study.path}")
        records = {"search": self._search(study.trials)}
        if section.baseline == "random":
            num_trained = sum(record.status != "refused" for record in records["search"])
            records["random"] = self._search(study.baseline, of_baseline=num_trained)
        best = {origin: best_trials(trials, section.metric, section.final.top) for origin, trials in records.items()}
        if not best["search"]:
            raise CheckFailed(f"no trial was trained to its end. See {study.trials} for the errors.")
        first = best["search"][0]
        cells = first.choices["genotype"]
        self._write_best(cells, f"trial {first.trial}, {section.metric} {first.metrics[section.metric]:.4f}")
        write_front(study, records["search"], section)
        write_plots(study, records, section, cells)
        finalists = self._train_finalists(best)
        chosen = {one.origin: one for one in reversed(finalists)}
        if "search" not in chosen:
            raise CheckFailed(f"no finalist was trained to its end. See {study.finals_log} for the errors.")
        winner = chosen["search"]
        of_random = "" if finalists[0].origin == "search" else "; that of random search is better"
        self._write_best(
            winner.genotype,
            f"trial {winner.trial}, the best finalist of the search: {described(winner, section.metric)}{of_random}",
        )
        write_plots(study, records, section, winner.genotype)
        return {
            "metric": section.metric,
            **{origin: summary(trials, section.metric) for origin, trials in records.items()},
            "finalists": [one.as_dict() for one in finalists],
            **self._comparison({origin: chosen[origin] for origin in ORIGINS if origin in chosen}),
        }

    def _write_best(self, cells: Mapping[str, Any], origin: str) -> None:
        write_best(self.study, self.candidates.best(cells), origin)

    def _search(self, path: Path, *, of_baseline: int | None = None) -> list[Record]:
        """Run the trials of the search, or as many of its baseline; their log is at ``path``."""
        section, candidates = self.section, self.candidates
        is_baseline = of_baseline is not None
        proposer = CellProposer(section, self.loaded.recipe.train.seed + is_baseline, is_baseline=is_baseline)
        log = TrialLog(path, proposer.mistake)
        total = section.budget.trials if of_baseline is None else of_baseline
        hours = None if is_baseline or self.setting.replays is not None else section.budget.hours
        seen = log.read()
        if seen:
            self.setting.console.say(f"{log.path.name}: {len(seen)} trials are in the log")

        def task(number: int, proposal: Proposal) -> dict[str, Any]:
            where = {"folder": str(self.study.path), "optimize_graphs": False}
            recipe = candidates.trial(proposal.choices["genotype"], number)
            return {**self.common, **where, "kind": "trial", "recipe": recipe, "limits": section.limits}

        def report(record: Record) -> None:
            seen.append(record)
            what = f"{'random' if is_baseline else 'trial'} {record.trial}"
            count = f"{sum(one.status != 'refused' for one in seen)} of {total}"
            self.setting.console.say(f"{what}  {count}  {line_about(record, section.metric, seen)}")

        plan = Plan(
            task=task,
            seed=candidates.trial_seed,
            num_trials=total,
            seconds=None if hours is None else 3600 * hours,
            seconds_a_trial=60 * section.trial.minutes,
            report=report,
        )
        return run_trials(log, self.setting.proposer(proposer, log), plan, self.setting.pool)

    def _train_finalists(self, best: Mapping[str, Sequence[Record]]) -> list[Finalist]:
        """Train the finalists at full size, each with new seeds, and rank them."""
        section, candidates, folder = self.section, self.candidates, self.study.finals
        proposer = FinalProposer(best, section.final.seeds, section.metric)
        total = len(proposer.proposals)
        folder.mkdir(exist_ok=True)

        def task(number: int, proposal: Proposal) -> dict[str, Any]:
            choices = proposal.choices
            recipe = candidates.final(choices["genotype"], choices["repeat"])
            where = {"folder": str(folder), "name": final_name(choices)}
            return {**self.common, **where, "kind": "run", "recipe": recipe}

        def report(record: Record) -> None:
            what = f"final {final_name(record.choices)}  {record.trial + 1} of {total}"
            self.setting.console.say(f"{what}  {line_about(record, section.metric)}")

        def seed(number: int) -> int:
            return candidates.final_seed(proposer.proposals[number].choices["repeat"])

        plan = Plan(task=task, seed=seed, num_trials=total, report=report)
        log = TrialLog(self.study.finals_log, proposer.mistake)
        records = run_trials(log, proposer, plan, self.setting.pool)
        return ranked(records, section.metric, section.final.seeds)

    # The test split ---------------------------------------------------------------------------------------------------

    def _comparison(self, chosen: Mapping[str, Finalist]) -> dict[str, Any]:
        """Evaluate the chosen finalists on the test split, which nothing has seen, and compare them over the seeds."""
        name = self.section.metric.removeprefix("val_")
        if "test" in (self.study.read_info().get("samples") or {}):
            tested = self._test([run for one in chosen.values() for run in one.runs])
            name = name if all(name in metrics for metrics in tested.values()) else type(self.loaded.recipe).headline
            values = {origin: [tested[run][name] for run in one.runs] for origin, one in chosen.items()}
            return compared(f"test_{name}", values, chosen)
        return compared(self.section.metric, {origin: one.values for origin, one in chosen.items()}, chosen)

    def _test(self, runs: Sequence[str]) -> dict[str, dict[str, float]]:
        """The metrics of each run on the test split.

        Raises:
            CheckFailed: a run cannot be evaluated.
        """
        found: dict[str, dict[str, float]] = {}
        left = list(runs)
        while left or self.setting.pool.num_running:
            while left and self.setting.pool.is_free:
                name = left.pop(0)
                self.setting.pool.submit(name, {**self.common, "kind": "test", "run": str(self.study.finals / name)})
            name, outcome = self.setting.pool.wait()
            reason = outcome.reason if isinstance(outcome, Lost) else outcome["error"]
            if isinstance(outcome, Lost) or reason is not None:
                raise CheckFailed(f"{self.study.finals / name}: cannot be evaluated on the test split: {reason}")
            found[name] = outcome["metrics"]
        return found
