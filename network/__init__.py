"""Authenticated links between known peers. Moves bytes on channels; knows no block, vote or transaction."""
