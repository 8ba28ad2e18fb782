"""Timed exams: draw katas, keep the clock, count attempts, write the score card and the reviewer's page."""
