"""The rules that tests/test_architecture.py holds the code to."""
