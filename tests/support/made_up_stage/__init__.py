"""Files of a stage that the project does not have; `tests/test_new_stage.py` puts them into a copy of it."""
