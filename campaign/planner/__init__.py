"""Decisions: facts and a time in, a decision and its reason out.

Law: pure functions only. No I/O, no clock, no randomness, no store: a random draw, like the time,
is passed in, so every decision can be replayed and tested without a world around it.
"""
