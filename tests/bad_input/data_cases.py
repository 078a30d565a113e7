"""Files of candles, and their download."""

from pathlib import Path

from tests.bad_input.case import Case, Prepare, config_plus, writes
from tests.bad_input.lab import CANDLES

GIVEN = "--config tiny.yaml --data candles.csv --params_path none"
TUNE = "--config tiny.yaml --data candles.csv"


def line(number: int, column: int, text: str) -> Prepare:
    """Change a field of the candles; lines count from 1, the header's."""

    def prepare(folder: Path) -> None:
        lines = (folder / CANDLES).read_text().splitlines()
        fields = lines[number - 1].split(",")
        fields[column] = text
        lines[number - 1] = ",".join(fields)
        (folder / CANDLES).write_text("\n".join(lines) + "\n")

    return prepare


def swap(one: int, other: int) -> Prepare:
    """Swap two lines of the candles."""

    def prepare(folder: Path) -> None:
        lines = (folder / CANDLES).read_text().splitlines()
        lines[one - 1], lines[other - 1] = lines[other - 1], lines[one - 1]
        (folder / CANDLES).write_text("\n".join(lines) + "\n")

    return prepare


def keep(*spans: tuple[int, int]) -> Prepare:
    """Keep the header and these rows of the candles."""

    def prepare(folder: Path) -> None:
        header, *rows = (folder / CANDLES).read_text().splitlines()
        kept = [row for start, stop in spans for row in rows[start:stop]]
        (folder / CANDLES).write_text("\n".join([header, *kept]) + "\n")

    return prepare


def _every_twentieth_missing(folder: Path) -> None:
    keep(*((n, n + 19) for n in range(0, 2880, 20)))(folder)


def _bad(did: str, says: str, prepare: Prepare, command: str = "train") -> Case:
    return Case(did, command, GIVEN, says, prepare)


DATA = [
    Case(
        "names candles that are not there",
        "train",
        "--config tiny.yaml --data btc.csv",
        "scripts/fetch_candles.py",
    ),
    Case(
        "gives a folder as candles",
        "tune",
        "--config tiny.yaml --data runs",
        "expected a CSV or Parquet file",
    ),
    Case(
        "gives candles of another kind",
        "train",
        "--config tiny.yaml --data candles.txt --params_path none",
        "unknown kind of file '.txt'",
        writes("candles.txt", "x\n"),
    ),
    _bad("gives an empty file", "the file is empty", writes("candles.csv", "")),
    _bad("gives a header and no rows", "found 0 rows", keep()),
    _bad(
        "gives rows and no header",
        "names of the columns",
        writes("candles.csv", "1704067200000,1,2,1,2,5\n1704067260000,1,2,1,2,5\n"),
    ),
    _bad("misses a column", "column 'volume' is missing", line(1, 5, "vol")),
    _bad("has a column twice", "there twice", line(1, 4, "low")),
    _bad("has two rows in the wrong order", "row 4 (line 5): unsorted", swap(4, 5)),
    _bad("has a row twice", "duplicate timestamp", keep((0, 5), (4, 2880))),
    _bad("has a time that is none", "row 9 (line 10)", line(10, 0, "yesterday")),
    _bad("has a bar off the grid", "off the bar grid", line(10, 0, "946685281000")),
    _bad("has an empty price", "row 99 (line 100): close is missing", line(100, 4, "")),
    _bad("has a word for a price", "'n/a!'", line(100, 1, "n/a!")),
    _bad("has an infinite volume", "volume is infinite", line(100, 5, "inf")),
    _bad("has a price of zero", "expected a positive price", line(100, 3, "0")),
    _bad("has a high below the low", "is below low", line(100, 2, "1")),
    _bad(
        "has a damaged CSV file", "zero bytes", writes("candles.csv", b"timestamp,open\n1,\0\0\0\n")
    ),
    Case(
        "has a damaged Parquet file",
        "evaluate",
        "--model_path runs/SAC/20260101_000000_tiny_seed0 --set env.csv_path=candles.parquet",
        "not a valid Parquet file",
        writes("candles.parquet", b"PAR1" + 100 * b"x"),
    ),
    Case(
        "forbids gaps and has one",
        "train",
        f"{GIVEN} --set data.gaps=error",
        "bars are missing",
        keep((0, 50), (60, 2880)),
    ),
    _bad("has gaps all over, so that no episode fits", "gap", _every_twentieth_missing),
    _bad("has too few bars", "expected at least", keep((0, 300))),
    Case(
        "asks for episodes longer than a segment",
        "train",
        f"{GIVEN} --set env.episode_length=1000",
        "1000",
    ),
    Case(
        "judges trials on episodes longer than the segment",
        "tune",
        f"{TUNE} --set tune.eval_episode_length=1000",
        "1000",
    ),
    Case(
        "splits by dates that lie outside the data",
        "train",
        "--config tiny.yaml --set env.csv_path=candles.csv --params_path none",
        "data_split.train_start 2020-01-01 lies outside the data",
        config_plus(
            "data_split: {train_start: 2020-01-01, train_end: 2020-01-02, valid_start: 2020-01-03, "
            "valid_end: 2020-01-04, test_start: 2020-01-05, test_end: 2020-01-06}\n"
        ),
    ),
]

FETCH = [
    Case("leaves out where to write", "fetch", "--since 2024-12-01", "--output"),
    Case(
        "gives a word as date", "fetch", "--since yesterday --output new.csv", "expected ISO 8601"
    ),
    Case(
        "ends before it begins",
        "fetch",
        "--since 2024-12-02 --until 2024-12-01 --output new.csv",
        "is not before",
    ),
    Case(
        "writes a kind of file that is not there",
        "fetch",
        "--since 2024-12-01 --output new.json",
        "expected one of: .csv, .parquet",
    ),
    Case(
        "writes into a folder that is not there",
        "fetch",
        "--since 2024-12-01 --output data/new.csv",
        "does not exist",
    ),
    Case(
        "names an exchange that does not exist",
        "fetch",
        "--since 2024-12-01 --output new.csv --exchange binanse",
        "did you mean 'binance'?",
    ),
    Case(
        "names bars the exchange does not offer",
        "fetch",
        "--since 2024-12-01 --output new.csv --timeframe 2m",
        "--timeframe '2m' is not offered",
    ),
    Case(
        "gives a host that is no address",
        "fetch",
        "--since 2024-12-01 --output new.csv --base_url mirror",
        "expected https://host",
    ),
    Case(
        "writes over candles that were not fetched",
        "fetch",
        "--since 2024-12-01 --output candles.csv",
        "choose another --output",
    ),
    Case(
        "continues candles of another market",
        "fetch",
        "--since 2024-12-01 --output candles.csv --symbol ETH/USDT",
        "holds symbol 'BTC/USDT'",
        writes(
            "candles.csv.json",
            '{"exchange": "binance", "symbol": "BTC/USDT", "timeframe": "1m", "since_ms": 0}',
        ),
    ),
    Case(
        "continues candles whose record is damaged",
        "fetch",
        "--since 2024-12-01 --output candles.csv",
        "damaged",
        writes("candles.csv.json", "{"),
    ),
]
