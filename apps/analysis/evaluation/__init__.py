"""How well the tasks do, on data that anybody can fetch, beside simple baselines."""
