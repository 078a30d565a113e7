"""Download candles of one market into a CSV or Parquet file; run it again to continue."""

from pathlib import Path

from makerlab.cli import ArgumentParser, run_command, show_line


def _parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--exchange", default="binance", help="ccxt name (default: binance)")
    parser.add_argument("--symbol", default="BTC/USDT", help="market (default: BTC/USDT)")
    parser.add_argument("--timeframe", default="1m", help="length of a bar (default: 1m)")
    parser.add_argument(
        "--since", required=True, help="first bar: date or time, UTC, such as 2024-12-01"
    )
    parser.add_argument(
        "--until", help="end: a date is included, a time is excluded (default: now, closed bars)"
    )
    parser.add_argument("--output", required=True, type=Path, help=".csv or .parquet file")
    parser.add_argument(
        "--base_url", help="send requests to this host instead, such as a mirror or reverse proxy"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Parse, download, report progress line by line."""
    options = _parser().parse_args(argv)
    from makerlab.data.fetch import FetchRequest, fetch_candles

    fetch_candles(FetchRequest(**vars(options)), report=show_line)
    return 0


if __name__ == "__main__":
    run_command(main)
