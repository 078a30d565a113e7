"""The report in a real browser: sorted, filtered, followed, zoomed, by mouse and by keyboard."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.browser import CHROMIUM, Browser, browser
from tests.made_up_artefacts import write_everything
from tests.made_up_runs import MadeUpRun

from makerlab.stages.report import write_report

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine (apt install chromium)"
)
HOSTILE = "</script><script>window.broken = 1</script><img src=x onerror='window.broken = 1'>"
ROWS = "[...document.querySelectorAll('table.runs tbody tr')]"
SHOWN = f"{ROWS}.filter(row => !row.hidden)"
PHONE, DESKTOP = (390, 844), (1280, 800)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs_dir = tmp_path_factory.mktemp("lab") / "runs"
    for config, profit in (("env_baseline", 5.0), ("env_wide", -3.0)):
        for seed in range(3):
            run = MadeUpRun(
                config,
                seed,
                {"run.notes": HOSTILE},
                valid=(profit + seed, profit - 2, profit + 9),
                test=(profit - 20 * seed, profit - 99, profit + 99),
            )
            write_everything(runs_dir, run)
    return write_report(runs_dir, sort_by=None, report=list[str]().append).page


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def page(tab: Browser, report: Path) -> Browser:
    tab.screen(*DESKTOP)
    tab.open(report)
    return tab


@pytest.fixture
def run_page(page: Browser, report: Path) -> Browser:
    page.open(sorted(report.parent.glob("SAC/*/report.html"))[0])
    page.wait("document.querySelector('.canvas svg') !== null")
    return page


def column(page: Browser, name: str) -> list[Any]:
    """Return the numbers of a column of the runs' table, top to bottom."""
    heads = "[...document.querySelectorAll('table.runs thead th')].map(h => h.textContent)"
    place = page.value(heads).index(name)
    return list(page.value(f"{SHOWN}.map(row => Number(row.cells[{place}].dataset.value))"))


def click_head(page: Browser, name: str) -> None:
    heads = "[...document.querySelectorAll('table.runs thead button')]"
    page.value(f"{heads}.find(button => button.textContent === '{name}').click()")


def test_opening_it_asks_for_the_file_alone_and_nothing_complains(
    page: Browser, report: Path
) -> None:
    assert page.requests == [report.as_uri()]
    assert page.complaints == []
    assert page.value("window.broken") is None


def test_a_click_sorts_and_another_turns_the_order(page: Browser) -> None:
    before = column(page, "test net profit")
    click_head(page, "test net profit")
    assert column(page, "test net profit") == sorted(before) != before
    click_head(page, "test net profit")
    assert column(page, "test net profit") == sorted(before, reverse=True)
    assert page.value("document.querySelectorAll('th[aria-sort=descending]').length") == 1


def test_the_keyboard_sorts_as_well(page: Browser) -> None:
    before = column(page, "test net profit")
    page.value("document.querySelectorAll('table.runs thead button')[5].focus()")
    assert page.value("document.activeElement.textContent") == "test net profit"
    page.press("Enter", code=13)
    assert column(page, "test net profit") == sorted(before)


def test_words_and_configs_filter(page: Browser) -> None:
    page.value("document.querySelector('input[name=text]').focus()")
    for letter in "wide seed2":
        page.press(letter)
    assert page.value(f"{SHOWN}.length") == 1
    assert page.value("document.querySelector('form.controls output').textContent") == "1 of 6 runs"
    page.value("document.querySelector('form.controls').reset()")
    choose = (
        "(s => {s.value = 'env_baseline'; s.dispatchEvent(new Event('input', {bubbles: true}))})"
    )
    page.value(f"{choose}(document.querySelector('select[name=config]'))")
    assert page.value(f"new Set({SHOWN}.map(row => row.dataset.config)).size") == 1
    assert page.value(f"{SHOWN}.length") == 3


def test_a_run_is_followed_and_leads_back(page: Browser, report: Path) -> None:
    page.value(f"{ROWS}[0].querySelector('a').click()")
    page.wait("document.body.classList.contains('run') && document.readyState === 'complete'")
    assert page.value("document.querySelector('h1').textContent").endswith("env_baseline_seed2")
    page.value("document.querySelector('.brand a').click()")
    page.wait("!document.body.classList.contains('run') && document.readyState === 'complete'")
    assert page.complaints == []
    assert all(url.startswith(report.parent.as_uri()) for url in page.requests)


def test_tab_begins_with_the_way_past_the_head(page: Browser) -> None:
    page.press("Tab", code=9)
    assert page.value("document.activeElement.textContent") == "Skip to the verdict"
    page.press("Enter", code=13)
    page.wait("document.activeElement.id === 'main'")


def fills_of(page: Browser) -> int:
    return int(
        page.value(
            "(e => e.bid_filled.filter(f => f > 0).length + e.ask_filled.filter(f => f > 0).length)"
            "(JSON.parse(document.getElementById('episodes').textContent)[0])"
        )
    )


def marked(page: Browser) -> int:
    return int(page.value("document.querySelectorAll('.canvas .fill').length"))


def bars_shown(page: Browser) -> int:
    words = page.value("document.querySelector('.readout').textContent")
    first, last, _ = map(int, re.search(r"Bars (\d+) to (\d+) of (\d+)", words).groups())  # type: ignore[union-attr]
    return last - first + 1


def test_every_fill_of_an_episode_is_marked(run_page: Browser) -> None:
    assert run_page.complaints == [] and len(run_page.requests) == 1
    assert marked(run_page) == fills_of(run_page) > 50
    assert bars_shown(run_page) == 240


def test_the_chart_zooms_down_to_single_bars(run_page: Browser) -> None:
    for _ in range(8):
        run_page.value("document.querySelector('[data-do=in]').click()")
    assert bars_shown(run_page) in {8, 9}
    assert 0 < marked(run_page) < 30
    run_page.value("document.querySelector('[data-do=all]').click()")
    assert bars_shown(run_page) == 240


def test_the_chart_obeys_the_keyboard_and_reads_out(run_page: Browser) -> None:
    run_page.value("document.querySelector('.canvas').focus()")
    run_page.press("n")
    words = run_page.value("document.querySelector('.readout').textContent")
    assert "bought 0.25 at" in words or "sold 0.25 at" in words
    first = bars_shown(run_page)
    run_page.press("+")
    assert bars_shown(run_page) < first
    run_page.press("ArrowRight", code=39)
    assert run_page.value("document.querySelector('.readout').textContent") != words
    run_page.press("Home", code=36)
    assert bars_shown(run_page) == 240


def test_other_episodes_can_be_chosen(run_page: Browser) -> None:
    names = run_page.value(
        "[...document.querySelector('select[name=episode]').options].map(o => o.text)"
    )
    assert names[0] == "test 0" and len(names) == 9
    before = run_page.value("document.querySelector('.q-bid').getAttribute('d')")
    run_page.value(
        "(s => {s.value = '4'; s.dispatchEvent(new Event('change'))})"
        "(document.querySelector('select[name=episode]'))"
    )
    assert run_page.value("document.querySelector('.q-bid').getAttribute('d')") != before


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_nothing_reaches_beyond_the_screen(
    tab: Browser, report: Path, size: tuple[int, int], dark: bool
) -> None:
    for path in (report, sorted(report.parent.glob("SAC/*/report.html"))[0]):
        tab.screen(*size, phone=size == PHONE, dark=dark)
        tab.open(path)
        assert tab.value("document.documentElement.scrollWidth") <= size[0]
        assert tab.complaints == []


CONTRAST = """
(() => {
  const light = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map(Number).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const seen = new Set();
  for (const each of document.querySelectorAll('p, h1, h3, td, th, dd, dt, a, caption, summary'))
    seen.add(getComputedStyle(each).color);
  const ratio = (ink) => (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  return Math.min(...[...seen].map(light).map(ratio));
})()
"""


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_its_paper(tab: Browser, report: Path, dark: bool) -> None:
    """At least 4.5 to 1, as WCAG 2 asks of text at level AA."""
    tab.screen(*DESKTOP, dark=dark)
    tab.open(report)
    assert tab.value(CONTRAST) >= 4.5


def test_a_print_hides_controls_and_is_light(tab: Browser, report: Path, tmp_path: Path) -> None:
    tab.screen(*DESKTOP, dark=True)
    tab.open(report)
    tab.pdf(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    tab.send("Emulation.setEmulatedMedia", media="print")
    hidden = "getComputedStyle(document.querySelector('form.controls')).display"
    assert tab.value(hidden) == "none"
    assert tab.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    tab.send("Emulation.setEmulatedMedia", media="")
