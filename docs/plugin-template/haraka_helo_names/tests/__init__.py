"""Run these with `pytest --pyargs haraka_helo_names`."""
