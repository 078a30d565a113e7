"""The report as files: complete without network or script, true to the runs, safe to open."""

import csv
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tests.made_up_artefacts import write_everything, write_study
from tests.made_up_runs import METRIC_NAMES, SYNTHETIC_DATA, MadeUpRun, write_run

from makerlab.errors import UserError
from makerlab.report.html.optimum import DISTANCE
from makerlab.stages.analyze import analyze
from makerlab.stages.report import ReportResult, write_report

SCRIPT = Path(__file__).parents[2] / "scripts" / "write_report.py"
HOSTILE = "</script><script>window.broken = 1</script><img src=x onerror='window.broken = 1'>\"'&"
MEGABYTE = 1_000_000


def some_runs(runs_dir: Path, **changes: Any) -> Path:
    for name, fee in (("env_baseline", 0.0001), ("env_aggressive_spread", 0.0)):
        for seed in range(3):
            write_everything(runs_dir, MadeUpRun(name, seed, {"env.fee_rate": fee}, **changes))
    return runs_dir


def written(runs_dir: Path, **changes: Any) -> ReportResult:
    return write_report(runs_dir, **({"sort_by": None, "report": list[str]().append} | changes))


class Page(HTMLParser):
    """What a page holds: its words, anchors, links and elements."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self._silent = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._silent += tag in {"script", "style"}

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in {"script", "style"}

    def handle_data(self, data: str) -> None:
        self.words += "" if self._silent else data

    def all(self, attribute: str) -> list[str]:
        found = (attributes.get(attribute) for _, attributes in self.elements)
        return [value for value in found if value is not None]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> ReportResult:
    return written(some_runs(tmp_path_factory.mktemp("lab") / "runs"))


def test_one_page_for_all_and_one_for_each_run(report: ReportResult) -> None:
    runs_dir = report.page.parent
    assert report.page == runs_dir / "report.html"
    assert len(report.run_pages) == 6
    assert all(page.is_file() and page.parent.parent.name == "SAC" for page in report.run_pages)
    assert report.problems == ()


def test_pages_ask_nothing_of_the_network(report: ReportResult) -> None:
    for path in (report.page, *report.run_pages):
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"(?:https?:)?//[\w.]", text.partition("<body")[2]), path
        page = Page(path)
        assert page.all("src") == []
        kept = [link for link in page.all("href") if not link.startswith(("#", "data:,"))]
        assert all((path.parent / link).is_file() for link in kept), path
        assert "default-src 'none'" in page.all("content")[0]


def test_links_within_a_page_lead_somewhere_and_anchors_are_unique(report: ReportResult) -> None:
    for path in (report.page, report.run_pages[0]):
        page = Page(path)
        anchors = page.all("id")
        assert len(anchors) == len(set(anchors))
        assert {link[1:] for link in page.all("href") if link.startswith("#")} <= set(anchors)


def test_the_first_words_are_the_verdict_and_what_it_rests_on(report: ReportResult) -> None:
    words = Page(report.page).words.partition("Each run by itself")[0]
    assert "2 of 2 configs beat every baseline on the test segment" in words
    assert "Better than every baseline, also the best (fixed symmetric)." in words
    assert re.search(
        r"\+2\.\d+ \[\d\.\d+, \d\.\d+\]over seeds and days together; p .* corrected", words
    )
    assert "25 tuning trials and 6 training runs of 2 variants ever started" in words
    assert "deflated Sharpe" in words and "Probability of backtest overfitting: " in words
    assert "real candles from a file (btcusdt_1m.csv" in words
    assert "2026-09-01 00:00 to 2026-10-01 00:00 UTC, 43,200 bars of 1 min" in words
    assert "test 2026-09-26 13:00 to 2026-10-01 00:00" in words
    assert "next bar, strict trade-through" in words


def test_a_config_that_proves_nothing_is_said_to(tmp_path: Path) -> None:
    write_everything(tmp_path, MadeUpRun(difference=(2.0, -1.0, 5.0), test=(1.0, -3.0, 5.0)))
    words = Page(written(tmp_path).page).words
    assert "env_baseline is not shown to beat the best baseline on the test segment." in words
    assert "No telling whether it beats the best baseline (fixed symmetric)." in words
    assert "A single seed, another may differ." in words
    assert "Earned more on test: fixed symmetric, Avellaneda Stoikov" in words


def test_a_made_up_market_and_a_quick_profile_stand_out(tmp_path: Path) -> None:
    result = written(some_runs(tmp_path, data=SYNTHETIC_DATA, profile="quick"))
    for path in (result.page, *result.run_pages):
        page = Page(path)
        assert "SYNTHETIC, a made-up market" in page.words
        assert "too few steps and trials to believe" in page.words
        assert page.all("class").count("alarm") == 2


def test_every_picture_tells_in_words_what_it_shows(report: ReportResult) -> None:
    pictures = [
        a for path in (report.page, *report.run_pages) for t, a in Page(path).elements if t == "svg"
    ]
    drawn = [attributes for attributes in pictures if attributes.get("role") == "img"]
    assert len(drawn) > 50
    assert all(attributes.get("aria-label") for attributes in drawn)
    assert all("aria-hidden" in attributes for attributes in pictures if attributes not in drawn)


def test_every_table_has_a_caption_and_headed_columns(report: ReportResult) -> None:
    for path in (report.page, report.run_pages[0]):
        tags = [tag for tag, _ in Page(path).elements]
        assert tags.count("table") == tags.count("caption") > 2
        heads = [attributes for tag, attributes in Page(path).elements if tag == "th"]
        assert all(attributes.get("scope") in {"col", "row"} for attributes in heads)


def test_no_text_of_a_config_becomes_part_of_the_page(tmp_path: Path) -> None:
    values = {"run.notes": HOSTILE, "train.seed": 0}
    run = MadeUpRun(values=values, manifest={"command": [HOSTILE], "git": {"commit": HOSTILE}})
    write_everything(tmp_path, run)
    result = written(tmp_path)
    for path in (result.page, *result.run_pages):
        text = path.read_text(encoding="utf-8")
        page = Page(path)
        assert "<script>window.broken" not in text and "<img" not in text
        assert HOSTILE in page.words
        assert not any(name.startswith("on") for _, each in page.elements for name in each)


def test_a_hostile_name_of_a_run_is_a_link_and_nothing_more(tmp_path: Path) -> None:
    directory = write_everything(tmp_path, MadeUpRun())
    directory.rename(directory.with_name("20261101_120000_a b'\"<i>&#x_seed0"))
    page = Page(written(tmp_path).page)
    (link,) = (link for link in page.all("href") if link.endswith("report.html"))
    assert not set(link) & set("<>\"' #")
    assert "i" not in [tag for tag, _ in page.elements]
    assert "20261101_120000_a b'\"<i>&#x_seed0" in page.words


def test_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    some_runs(tmp_path)
    pages = [
        [path.read_bytes() for path in (result.page, *result.run_pages)]
        for result in (written(tmp_path), written(tmp_path))
    ]
    assert pages[0] == pages[1]


def test_what_is_missing_is_left_out_with_a_word(tmp_path: Path) -> None:
    for seed in range(2):
        write_run(tmp_path, MadeUpRun(seed=seed, n_trials=None))
    page = Page(written(tmp_path).page)
    assert "No run has written a learning curve (progress.csv)." in page.words
    assert "No run has a curve of the test segment (test_equity_curve.csv)." in page.words
    assert "No run used tuned parameters of a study." in page.words
    assert "No run was judged under other fill models" in page.words
    assert "These markets have no known optimum" in page.words
    assert "No two comparable evaluated runs differ in a setting." in page.words
    assert (
        "No episode of this run was written bar by bar."
        in Page(next(tmp_path.glob("*/*/report.html"))).words
    )


def test_fill_sensitivity_is_shown_where_it_was_measured(tmp_path: Path) -> None:
    def model(profit: float, optimistic: str) -> dict[str, Any]:
        def judged(value: float) -> dict[str, Any]:
            return {"net_profit": {"value": value, "low": value - 9.0, "high": value + 9.0}}

        policies = {"policy": judged(profit), "no_quote": judged(0.0)}
        return {"fill_model": {"optimistic": optimistic}, "test": {"policies": policies}}

    directory = write_everything(tmp_path, MadeUpRun())
    models = {"as_configured": model(-40.0, "no"), "touch": model(120.0, "rule touch")}
    record = {"best_baseline": "no_quote", "fill_models": models}
    (directory / "evaluation" / "fill_sensitivity.json").write_text(json.dumps(record))
    result = written(tmp_path)
    for path in (result.page, *result.run_pages):
        (told,) = (text for text in Page(path).all("aria-label") if "touch (optimistic)" in text)
        assert "as configured −40.0 [−49.0, −31.0]; touch (optimistic) 120.0 [111.0, 129.0]" in told


def test_the_distance_to_a_known_optimum_is_shown_where_there_is_one(tmp_path: Path) -> None:
    names = (*METRIC_NAMES, DISTANCE)
    write_everything(tmp_path, MadeUpRun(metric_names=names))
    told = Page(written(tmp_path).page).all("aria-label")
    assert any(
        re.search(r"distance to the optimum: policy \S+ \[.*no quote", text) for text in told
    )


def test_the_distance_of_a_config_is_the_mean_over_its_seeds(tmp_path: Path) -> None:
    names = (*METRIC_NAMES, DISTANCE)
    for seed, distance in enumerate((10.0, 20.0, 30.0)):
        run = write_everything(tmp_path, MadeUpRun(seed=seed, metric_names=names))
        path = run / "evaluation" / "metrics.json"
        metrics = json.loads(path.read_text())
        metrics["test"][DISTANCE] = {"value": distance, "low": distance - 1, "high": distance + 1}
        metrics["test"]["baselines"]["no_quote"][DISTANCE] = {"value": 100, "low": 100, "high": 100}
        path.write_text(json.dumps(metrics))
    result = written(tmp_path)
    (told,) = (text for text in Page(result.page).all("aria-label") if "to the optimum:" in text)
    # Student's t over three seeds with deviation 10: 4.303 * 10 / sqrt(3) = 24.8.
    assert "policy 20 [−5, 45] %" in told
    assert re.search(r"no quote 100\S*( \[100\S*, 100\S*\])? ", told)
    own = [next(t for t in Page(p).all("aria-label") if "optimum:" in t) for p in result.run_pages]
    assert ["policy 10.0 [9.0, 11.0]" in own[0], "policy 30.0 [29.0, 31.0]" in own[2]] == [True] * 2


def test_no_optimum_is_claimed_where_none_is_known(report: ReportResult) -> None:
    for path in (report.page, *report.run_pages):
        page = Page(path)
        assert not [text for text in page.all("aria-label") if "to the optimum:" in text]
        assert "These markets have no known optimum" in page.words


def test_a_study_that_is_gone_is_named(report: ReportResult) -> None:
    assert "optuna.sqlite3: the studies' file is not there" in Page(report.page).words


def test_a_study_shows_its_course_its_trials_and_what_mattered(tmp_path: Path) -> None:
    storage = write_study(tmp_path, "s-1", trials=30)
    tuned = {"study": "s-1", "storage": storage, "trial": 3, "n_trials": 30, "score": -1.0}
    tuned["rescored"] = {"value": -7.5, "low": None, "high": None}
    for seed in range(3):
        write_everything(tmp_path, MadeUpRun(seed=seed, manifest={"tuned_params": tuned}))
    page = Page(written(tmp_path).page)
    assert (
        "Study s-1: 24 complete, 6 pruned. The chosen trial scored −1.00; trained again"
        in page.words
    )
    assert "on fresh seeds its parameters score −7.50." in page.words
    assert "chosen parameters on fresh seeds: −7.50" in page.words
    (told,) = (text for text in page.all("aria-label") if "importance of parameters" in text)
    # The score is a function of gamma alone.
    assert re.search(r"importance of parameters: gamma (9\d|100)%", told)
    marks = [a for tag, a in page.elements if tag == "use"]
    assert sum("trial 29" in word for word in page.words.split(": ")) >= 1 and len(marks) > 30


def test_a_study_is_found_beside_runs_that_were_moved(tmp_path: Path) -> None:
    write_study(tmp_path, "s-1", trials=3)
    tuned = {"study": "s-1", "storage": "sqlite:////elsewhere/optuna.db", "n_trials": 3}
    write_everything(tmp_path, MadeUpRun(manifest={"tuned_params": tuned}))
    words = Page(written(tmp_path).page).words
    assert "Study s-1: 3 complete." in words
    assert "3 trials finished, at least 8" in words


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a,b\n1\n1,2,3\n", b""])
def test_a_damaged_file_is_named_and_stops_nothing(tmp_path: Path, content: bytes) -> None:
    some_runs(tmp_path)
    damaged = next(tmp_path.glob("SAC/*baseline_seed0/progress.csv"))
    damaged.write_bytes(content)
    result = written(tmp_path)
    (problem,) = result.problems
    name = str(damaged.relative_to(tmp_path))
    assert problem.startswith(f"{name}: not readable, ")
    assert name in Page(result.page).words
    assert len(result.run_pages) == 6


def test_failed_and_unfinished_runs_are_shown_as_such(tmp_path: Path) -> None:
    some_runs(tmp_path)
    error = {"kind": "Diverged", "message": "loss is NaN at step 900"}
    failed = MadeUpRun("env_wild", state="failed", evaluated=False, manifest={"error": error})
    write_run(tmp_path, failed)
    write_run(tmp_path, MadeUpRun("env_cut", state="running", evaluated=False))
    words = Page(written(tmp_path).page).words
    assert "failed: loss is NaN at step 900" in words
    assert "not ranked: failed" in words and "not ranked: interrupted" in words


def test_runs_of_different_markets_are_told_apart(tmp_path: Path) -> None:
    some_runs(tmp_path)
    write_everything(tmp_path, MadeUpRun("env_other", data=SYNTHETIC_DATA))
    page = Page(written(tmp_path).page)
    assert "1. market making on btcusdt_1m.csv, profile day" in page.words
    assert "2. market making on synthetic market, profile day" in page.words


def test_a_walk_forward_is_told_pooled_and_fold_by_fold(tmp_path: Path) -> None:
    for fold in range(3):
        for seed in range(2):
            write_everything(tmp_path, MadeUpRun(seed=seed, fold=fold))
    page = Page(written(tmp_path).page)
    first = page.words.partition("Each run by itself")[0]
    assert "over 3 folds" in first
    assert all(f"fold {fold}" in first and f"Fold {fold}" in first for fold in range(3))
    drawn = [text for text in page.all("aria-label") if "equity over the test segment" in text]
    assert [text.partition(":")[0] for text in drawn] == [
        f"env_baseline, fold {n}" for n in range(3)
    ]


def test_each_runs_page_of_a_walk_forward_is_of_its_own_fold(tmp_path: Path) -> None:
    for fold in range(3):
        write_everything(tmp_path, MadeUpRun(fold=fold, test=(100.0 + fold, 90.0, 110.0)))
    pages = sorted(written(tmp_path).run_pages)
    assert len(pages) == 3
    for fold, path in enumerate(pages):
        words = Page(path).words
        assert f"fold{fold}_seed0" in words
        assert f"2026-09-{10 + fold}" in words
        assert f"{100 + fold} [90, 110]" in words
        assert not any(f"{100 + other} [90, 110]" in words for other in {0, 1, 2} - {fold})


def test_the_pool_of_folds_is_the_row_of_the_table_beside_it(tmp_path: Path) -> None:
    for fold, difference in enumerate((2.0, 8.0, 5.0)):
        interval = (difference, difference - 1.5, difference + 1.5)
        write_everything(tmp_path, MadeUpRun(fold=fold, difference=interval))
    analyze(
        tmp_path,
        plots_dir=None,
        sort_by=None,
        top_k=10,
        plot_param=None,
        plot_metric=None,
        report=list[str]().append,
    )
    with (tmp_path / "runs_by_config.csv").open(newline="") as file:
        (pooled,) = (row for row in csv.DictReader(file) if row["fold"] == "pooled")
    assert float(pooled["test_difference_net_profit"]) == pytest.approx(5.0)
    labels = Page(tmp_path / "report.html").all("aria-label")
    told = [text for text in labels if "minus the best baseline's" in text]
    # The pool's mean first, then each fold's own.
    assert [re.search(r": (\S+) ", text).group(1) for text in told] == [  # type: ignore[union-attr]
        "5.0",
        "2.00",
        "8.00",
        "5.00",
    ]


def test_a_missing_fold_is_said_on_the_first_screen(tmp_path: Path) -> None:
    for fold in (0, 2):
        write_everything(tmp_path, MadeUpRun(fold=fold))
    first = Page(written(tmp_path).page).words.partition("Each run by itself")[0]
    assert "Only 2 of 3 folds have results." in first


def test_every_fill_of_the_written_episodes_is_in_the_runs_table(report: ReportResult) -> None:
    page = report.run_pages[0]
    files = list((page.parent / "evaluation").glob("*_episode_*.csv"))
    fills = 0
    for path in files:
        header, *lines = path.read_text().splitlines()
        places = [header.split(",").index(f"{side}_filled") for side in ("bid", "ask")]
        fills += sum(float(line.split(",")[at]) > 0.0 for line in lines for at in places)
    assert len(files) == 9 and fills > 100
    assert f"{fills} fills of the episodes above" in Page(page).words
    assert (
        page.read_text().count("<td>bought</td>") + page.read_text().count("<td>sold</td>") == fills
    )


def test_a_hundred_runs_stay_far_below_ten_megabytes(report: ReportResult) -> None:
    """What a run adds is bounded: curves are thinned to the pixels of a chart."""
    fixed = 60_000
    assert (report.page.stat().st_size - fixed) / 6 < 9 * MEGABYTE / 100


def test_an_unknown_column_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    some_runs(tmp_path)
    with pytest.raises(UserError, match=r"--sort_by: found 'valid_sharp'.*valid_sharpe"):
        written(tmp_path, sort_by="valid_sharp")
    assert not list(tmp_path.rglob("report.html"))


def test_ranked_by_what_was_asked_for(tmp_path: Path) -> None:
    assert (
        "Runs by valid Sharpe, largest first"
        in Page(written(some_runs(tmp_path), sort_by="valid_sharpe").page).words
    )


def test_the_script_says_where_the_page_is_and_what_is_wrong(tmp_path: Path) -> None:
    def run(runs_dir: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(SCRIPT), "--runs_dir", str(runs_dir)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    done = run(some_runs(tmp_path / "runs"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{tmp_path / 'runs' / 'report.html'}: 6 runs, ")
    failed = run(tmp_path / "no_runs")
    assert failed.returncode == 2 and failed.stderr.startswith("error: ")
    assert failed.stderr.count("\n") == 1


def test_ticks_have_three_digits_and_more_where_two_would_look_alike(tmp_path: Path) -> None:
    for name, gamma, rate in (("a", 0.995065, 6.5954e-5), ("b", 0.995273, 0.000101486)):
        run = MadeUpRun(name, 0, {"train.gamma": gamma, "train.learning_rate": rate})
        write_everything(tmp_path, run)
    text = (tmp_path / "report.html").read_text() if written(tmp_path) else ""
    assert ">0.9951<" in text and ">0.9953<" in text
    assert ">6.6e-05<" in text and ">0.000101<" in text
