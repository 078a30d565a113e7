"""Simulated markets: simulations, the papers' tables, runs beside an optimum, fills of makers."""

from tests.bad_input.case import Case, writes
from tests.bad_input.lab import RUN

_AS = "--market avellaneda_stoikov"

SIMULATIONS = [
    Case(
        "simulates a market with a typing error",
        "simulate",
        "--market avelaneda_stoikov --policy inventory",
        "--market: found 'avelaneda_stoikov'; did you mean 'avellaneda_stoikov'?",
    ),
    Case(
        "simulates a policy that there is not",
        "simulate",
        f"{_AS} --policy inventry",
        "did you mean 'inventory'?",
    ),
    Case(
        "simulates a single path",
        "simulate",
        f"{_AS} --policy inventory --paths 1",
        "--paths: found '1', expected 2 to 10000000 paths",
    ),
    Case(
        "simulates no step",
        "simulate",
        f"{_AS} --policy inventory --paths 10 --steps 0",
        "found 0; expected a number greater than 0",
    ),
    Case(
        "simulates a negative risk aversion",
        "simulate",
        f"{_AS} --policy inventory --paths 10 --gamma -1",
        "risk_aversion': found -1.0; expected a number of at least 0.0",
    ),
    Case(
        "simulates with nan",
        "simulate",
        f"{_AS} --policy inventory --paths 10 --gamma nan",
        "found nan; expected a finite number",
    ),
    Case(
        "gives a depth to a policy that has none",
        "simulate",
        f"{_AS} --policy inventory --paths 10 --depth 1",
        "--depth is for --policy constant_depth, found --policy inventory",
    ),
    Case(
        "asks for the optimum where none is known",
        "simulate",
        "--market cartea_jaimungal --policy optimal --paths 10 --fee_rate 0.001",
        "no optimum is known on market cartea_jaimungal with fee_rate 0.001",
    ),
    Case(
        "simulates a fill rule with a typing error",
        "simulate",
        f"{_AS} --policy inventory --fill_rule litteral",
        "did you mean 'literal'?",
    ),
    Case(
        "reproduces papers with too few paths",
        "papers",
        "--paths 1",
        "--paths: found '1', expected 100 to 10000000 paths",
    ),
    Case(
        "reproduces papers with a negative seed",
        "papers",
        "--seed -3",
        "--seed: found '-3', expected a whole number from 0",
    ),
    Case(
        "compares a run that is not there with the optimum",
        "compare",
        f"--model_path {RUN}7 --output_dir found",
        "no such run directory or model file",
    ),
    Case(
        "compares a run on candles with the optimum of a simulated market",
        "compare",
        f"--model_path {RUN} --output_dir found",
        "candles",
    ),
    Case(
        "compares over too few episodes",
        "compare",
        f"--model_path {RUN} --output_dir found --episodes 0",
        "--episodes: found '0', expected 100 to 1000000 episodes",
    ),
    Case(
        "describes fills on candles that are not there",
        "fills",
        "--data nothere.csv",
        "nothere.csv: no such file of candles",
    ),
    Case(
        "describes fills on a file that holds no candles",
        "fills",
        "--data notes.md",
        "notes.md: unknown kind of file '.md'; expected one of: .csv, .parquet",
        writes("notes.md", "no candles"),
    ),
]
