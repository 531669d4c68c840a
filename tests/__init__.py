"""Tests: flat files test_<subject>.py; folders hold what is no test."""
